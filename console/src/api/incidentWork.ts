// What people do on incidents, as requests: saved views, commands on many, and everything about one that others add to it.
import { queryOptions } from "@tanstack/react-query";
import { apiQuery, type IncidentFilters } from "../lib/filters";
import { request } from "./client";
import { incidentKey, incidentListKey } from "./queries";
import type { Accepted, Incident, IncidentState, JsonObject, Page, Severity } from "./types";

export interface Actor {
  actor: string;
  name: string | null;
}

export interface Person {
  id: string;
  name: string;
}

export interface Comment {
  id: string;
  author: Actor;
  body: string;
  mentions: string[];
  created_at: string;
  edited_at: string | null;
  deleted_at: string | null;
  mine: boolean;
  version: number;
}

export interface LinkedIncident {
  id: string;
  number: number;
  title: string;
  state: IncidentState;
  severity: Severity;
}

export const LINK_KINDS = ["relates_to", "caused_by", "duplicates"] as const;
export type LinkKind = (typeof LINK_KINDS)[number];

export interface IncidentLink {
  id: string;
  says: LinkKind | "causes" | "duplicated_by";
  incident: LinkedIncident;
  created_by: Actor;
  created_at: string;
}

export interface Links {
  items: IncidentLink[];
  merged: LinkedIncident[];
  merged_into: LinkedIncident | null;
}

export interface Reported {
  id: string;
  incident_id: string;
  received_at: string | null;
  exception: JsonObject | null;
}

export type Shared = "host" | "site" | "check_type" | "pattern";

export interface Related {
  incident: Incident;
  shares: Shared[];
}

export interface SavedView {
  id: string;
  name: string;
  query: string;
  shared: boolean;
  mine: boolean;
  owner: Actor;
  is_default: boolean;
  version: number;
}

export type BulkAction = "resolve" | "close" | "reopen" | "assign" | "unassign" | "comment";

export interface Bulk {
  id: string;
  action: BulkAction;
  state: "queued" | "running" | "done" | "undoing" | "undone";
  total: number;
  pending: number;
  done: number;
  skipped: number;
  undone: number;
  kept: number;
  can_undo: boolean;
}

export interface BulkItem {
  incident_id: string;
  number: number | null;
  title: string | null;
  result: "pending" | "done" | "skipped" | "undone" | "kept";
  detail: string | null;
}

export interface BulkCommand {
  action: BulkAction;
  ids?: string[];
  filter?: string;
  reason?: string;
  assignee?: string;
  body?: string;
}

const PEOPLE_FRESH_MS = 300_000;
const BULK_POLL_MS = 700;

export const peopleQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [tenantId, "incident-people"],
    queryFn: async ({ signal }) => (await request<{ items: Person[] }>("incidents/people", { tenantId, signal })).items,
    staleTime: PEOPLE_FRESH_MS,
  });

export const countQuery = (tenantId: string, filters: IncidentFilters) =>
  queryOptions({
    queryKey: [tenantId, "incident-count", filters],
    queryFn: ({ signal }) => request<{ count: number; more: boolean }>("incidents/count", { tenantId, query: apiQuery(filters), signal }),
    staleTime: 15_000,
  });

export const viewsKey = (tenantId: string) => [tenantId, "incident-views"] as const;

export const viewsQuery = (tenantId: string) =>
  queryOptions({
    queryKey: viewsKey(tenantId),
    queryFn: async ({ signal }) => (await request<{ items: SavedView[] }>("incidents/views", { tenantId, signal })).items,
    staleTime: 60_000,
  });

export const bulkQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [tenantId, "incident-bulk", id],
    queryFn: ({ signal }) => request<Bulk>(`incidents/bulk/${id}`, { tenantId, signal }),
    refetchInterval: (query) => (isUnderWay(query.state.data) ? BULK_POLL_MS : false),
  });

export const bulkItemsQuery = (tenantId: string, id: string, result: BulkItem["result"]) =>
  queryOptions({
    queryKey: [tenantId, "incident-bulk", id, result],
    queryFn: ({ signal }) =>
      request<Page<BulkItem>>(`incidents/bulk/${id}/items`, { tenantId, query: new URLSearchParams({ result, limit: "100" }), signal }),
  });

export function isUnderWay(bulk: Bulk | undefined): boolean {
  return bulk === undefined || bulk.state === "queued" || bulk.state === "running" || bulk.state === "undoing";
}

export const commandMany = (tenantId: string, command: BulkCommand) =>
  request<Accepted>("incidents/bulk", { method: "POST", tenantId, body: command });

const partOf = <Answer>(tenantId: string, id: string, part: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, id), part],
    queryFn: ({ signal }) => request<Answer>(`incidents/${encodeURIComponent(id)}/${part}`, { tenantId, query: LARGEST, signal }),
  });
const LARGEST = new URLSearchParams({ limit: "200" });

export const commentsQuery = (tenantId: string, id: string) => partOf<Page<Comment>>(tenantId, id, "comments");
export const reportedQuery = (tenantId: string, id: string) => partOf<Page<Reported>>(tenantId, id, "exceptions");

export const linksQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, id), "links"],
    queryFn: ({ signal }) => request<Links>(`incidents/${encodeURIComponent(id)}/links`, { tenantId, signal }),
  });

export const relatedQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, id), "related"],
    queryFn: async ({ signal }) => (await request<{ items: Related[] }>(`incidents/${encodeURIComponent(id)}/related`, { tenantId, signal })).items,
    staleTime: 60_000,
  });

/** Looks for an incident by its number or its words, to link or to merge with. */
export const findQuery = (tenantId: string, words: string) =>
  queryOptions({
    queryKey: [...incidentListKey(tenantId), "find", words],
    queryFn: async ({ signal }) => {
      const query = new URLSearchParams({ limit: "10", ...(words === "" ? {} : { q: words }) });
      return (await request<Page<Incident>>("incidents", { tenantId, query, signal })).items;
    },
    staleTime: 10_000,
  });
