// The words of the API about sources of webhooks, and what the screens ask of it.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import type { FieldChange } from "./authoring";
import { request } from "./client";
import type { Json, JsonObject, Page } from "./types";

export interface Source {
  id: string;
  name: string;
  origin: string;
  kind: string;
  title: string;
  authentication: string;
  format: string;
  topic: string | null;
  enabled: boolean;
  keep_days: number;
  address: string;
  secrets: number;
  secret_changed_at: string | null;
  is_own_mapping: boolean;
  mapping_version: number;
  held: number;
  received_at: string | null;
  accepted_at: string | null;
  refused_at: string | null;
  refusal: string | null;
  accepted: number;
  passed_over: number;
  repeated: number;
  refused: number;
  version: number;
}

/** A source with what is shown once. */
export interface IssuedSource extends Source {
  secret: string | null;
  url: string;
}

export interface SourceKind {
  id: string;
  title: string;
  description: string;
  pack_id: string;
  format: string;
  authentication: string[];
  secret_from: "fettle" | "sender";
  setup: string[];
  example: Json;
}

export interface Payload {
  id: string;
  received_at: string;
  outcome: string;
  reason: string | null;
  size: number;
  headers: JsonObject;
  payload: Json;
  exceptions: string[];
}

/** A topic's wish to send here. */
export interface Wish {
  id: string;
  topic: string;
  state: string;
  detail: string | null;
  asked_at: string;
}

export interface SourceMapping {
  mapping: JsonObject | null;
  of_pack: JsonObject | null;
  mapping_version: number;
  can_undo: boolean;
}

export interface PayloadPreview {
  payload_id: string;
  received_at: string;
  changes: FieldChange[];
  after: JsonObject[];
  exceptions_before: number;
  exceptions_after: number;
  error_before: string | null;
  error_after: string | null;
}

export interface MappingPreview {
  items: PayloadPreview[];
  changed: number;
  failing: number;
}

export interface SourceTest {
  payload: Json;
  exceptions: JsonObject[];
  passed_over: number;
  error: string | null;
}

const PAGE = "50";

export const sourcesKey = (tenantId: string) => [tenantId, "hook-sources"] as const;

function pages<Item>(tenantId: string, key: readonly string[], path: string, wanted: Record<string, string>) {
  return infiniteQueryOptions({
    queryKey: [...sourcesKey(tenantId), ...key, wanted],
    queryFn: ({ signal, pageParam }) =>
      request<Page<Item>>(path, { tenantId, signal, query: new URLSearchParams({ limit: PAGE, ...wanted, ...(pageParam === null ? {} : { cursor: pageParam }) }) }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
  });
}

function one<Answer>(tenantId: string, key: readonly string[], path: string) {
  return queryOptions({ queryKey: [...sourcesKey(tenantId), ...key], queryFn: ({ signal }) => request<Answer>(path, { tenantId, signal }) });
}

export const kindsQuery = (tenantId: string) => one<{ items: SourceKind[] }>(tenantId, ["kinds"], "hook-sources/kinds");
export const sourceListQuery = (tenantId: string, q: string) => pages<Source>(tenantId, ["list"], "hook-sources", q === "" ? {} : { q });
export const sourceQuery = (tenantId: string, id: string) => one<Source>(tenantId, ["one", id], `hook-sources/${id}`);
export const mappingQuery = (tenantId: string, id: string) => one<SourceMapping>(tenantId, ["mapping", id], `hook-sources/${id}/mapping`);
export const payloadsQuery = (tenantId: string, id: string, outcome: string) =>
  pages<Payload>(tenantId, ["payloads", id], `hook-sources/${id}/payloads`, outcome === "" ? {} : { outcome });
export const wishesQuery = (tenantId: string, id: string) => pages<Wish>(tenantId, ["wishes", id], `hook-sources/${id}/subscriptions`, {});
