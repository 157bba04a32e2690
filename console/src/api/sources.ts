// The words of the API about sources of webhooks, and what the screens ask of it.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import type { components } from "./schema";
import type { Page } from "./types";

type Words = components["schemas"];

export type Source = Words["SourceOut"];

/** A source with what is shown once. */
export type IssuedSource = Words["SourceIssued"];
export type SourceKind = Words["SourceKind"];
export type Payload = Words["PayloadOut"];

/** A topic's wish to send here. */
export type Wish = Words["SubscriptionOut"];
export type SourceMapping = Words["MappingOut"];
export type PayloadPreview = Words["PayloadPreview"];
export type MappingPreview = Words["MappingPreview"];
export type SourceTest = Words["SourceTestOut"];

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
