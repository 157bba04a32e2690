// What people do on incidents, as requests: saved views, commands on many, and everything about one that others add to it.
import { queryOptions } from "@tanstack/react-query";
import { apiQuery, type IncidentFilters } from "../lib/filters";
import { request } from "./client";
import { incidentKey, incidentListKey } from "./queries";
import type { components } from "./schema";
import { everyOne, type Accepted, type Incident, type Page } from "./types";

type Words = components["schemas"];

export type Actor = Words["ActorOut"];
export type Person = Words["PersonOut"];
export type Comment = Words["CommentOut"];
export type LinkedIncident = Words["LinkedIncident"];

export type LinkKind = Words["LinkIn"]["kind"];
export const LINK_KINDS = everyOne<LinkKind>()("relates_to", "caused_by", "duplicates");

export type IncidentLink = Words["LinkOut"];
export type Links = Words["LinksOut"];
export type Reported = Words["ReportedException"];

export type Shared = "host" | "site" | "check_type" | "pattern";

export type Related = Words["RelatedOut"];
export type SavedView = Words["ViewOut"];

export type Bulk = Words["BulkOut"];
export type BulkItem = Words["BulkItemOut"];
export type BulkCommand = Words["BulkIn"];

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
