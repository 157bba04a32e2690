// What the console reads, as query definitions: one key and one request each, all of them within a tenant.
import { infiniteQueryOptions, queryOptions, type QueryClient } from "@tanstack/react-query";
import { apiQuery, type IncidentFilters } from "../lib/filters";
import { request } from "./client";
import { ApiProblem } from "./problem";
import type {
  ApiKey, Approval, EvidenceBundle, Explanations, Incident, IncidentDetail, Me, Membership, Overview, Page, Rule, Run, RunDetail, StoredEvent,
} from "./types";

const PAGE_SIZE = 100;
const LARGEST_PAGE = 200;

/** A refusal will not change by asking again; a lost connection or a busy platform may. */
export function shouldRetry(failures: number, error: Error): boolean {
  if (error instanceof ApiProblem && error.status >= 400 && error.status < 500) return false;
  return failures < 2;
}

export const meQuery = (tenantId?: string) =>
  queryOptions({
    queryKey: ["me", tenantId ?? null],
    queryFn: ({ signal }) => request<Me>("me", { tenantId, signal }),
    staleTime: 60_000,
  });

const TENANTS_PAGE = 50;

/** The tenants of mine that fit, by name and page by page; for who has more than `me` tells. */
export const myTenantsQuery = (q: string) =>
  infiniteQueryOptions({
    queryKey: ["me", "tenants", q],
    queryFn: ({ signal, pageParam }) => {
      const query = new URLSearchParams({ limit: String(TENANTS_PAGE), ...(q === "" ? {} : { q }), ...(pageParam === null ? {} : { cursor: pageParam }) });
      return request<Page<Membership>>("me/tenants", { query, signal });
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor ?? null,
    staleTime: 60_000,
  });

/** Those of mine with these slugs. */
export const myTenantsNamedQuery = (slugs: readonly string[]) =>
  queryOptions({
    queryKey: ["me", "tenants", "named", slugs],
    queryFn: ({ signal }) => request<Page<Membership>>("me/tenants", { query: new URLSearchParams(slugs.map((slug) => ["slug", slug])), signal }),
    staleTime: 60_000,
  });

export const overviewQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [tenantId, "overview"],
    queryFn: ({ signal }) => request<Overview>("overview", { tenantId, signal }),
    refetchInterval: 60_000,
  });

export const incidentListKey = (tenantId: string) => [tenantId, "incidents"] as const;

export const incidentsQuery = (tenantId: string, filters: IncidentFilters) =>
  infiniteQueryOptions({
    queryKey: [...incidentListKey(tenantId), filters],
    queryFn: ({ signal, pageParam }) => {
      const query = apiQuery(filters);
      // The first page is soon there; the following ones are as large as may be, so that a long list is few requests.
      query.set("limit", String(pageParam === null ? PAGE_SIZE : LARGEST_PAGE));
      if (pageParam !== null) query.set("cursor", pageParam);
      return request<Page<Incident>>("incidents", { tenantId, query, signal });
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    // Comparing every row of every page with the one before would cost more than drawing them.
    structuralSharing: false,
    // The stream keeps the rows fresh; a refetch of every loaded page would make a long list jump.
    refetchOnWindowFocus: false,
    staleTime: 30_000,
  });

const PALETTE_SIZE = 6;

/** The few incidents that the palette offers for what is typed: a number, or words. */
export const paletteIncidentsQuery = (tenantId: string, typed: string) =>
  queryOptions({
    queryKey: [...incidentListKey(tenantId), "palette", typed],
    queryFn: async ({ signal }) => {
      const look = (q: string) => request<Page<Incident>>("incidents", { tenantId, query: new URLSearchParams({ q, limit: String(PALETTE_SIZE) }), signal });
      const number = /^#?(\d{1,18})$/.exec(typed)?.[1];
      if (number === undefined) return look(typed);
      // Of many incidents that have the number among their words, the one that bears it comes first.
      const [bearer, others] = await Promise.all([look(`#${number}`), look(number)]);
      return { ...others, items: [...bearer.items, ...others.items.filter((one) => !bearer.items.some((first) => first.id === one.id))] };
    },
  });

export const incidentKey = (tenantId: string, id: string) => [tenantId, "incident", id] as const;

export const incidentQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: incidentKey(tenantId, id),
    queryFn: ({ signal }) => request<IncidentDetail>(`incidents/${encodeURIComponent(id)}`, { tenantId, signal }),
  });

const TIMELINE_PAGES = 10;

export const timelineQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, id), "timeline"],
    queryFn: async ({ signal }) => {
      const events: StoredEvent[] = [];
      let cursor: string | null = null;
      // An incident with thousands of occurrences shows its first ones; the rest is in the export.
      for (let page = 0; page < TIMELINE_PAGES; page += 1) {
        const query = new URLSearchParams({ limit: "200", ...(cursor === null ? {} : { cursor }) });
        const answer: Page<StoredEvent> = await request(`incidents/${encodeURIComponent(id)}/timeline`, { tenantId, query, signal });
        events.push(...answer.items);
        cursor = answer.next_cursor;
        if (cursor === null) break;
      }
      return { events, complete: cursor === null };
    },
  });

export const runsQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "runs"],
    queryFn: ({ signal }) =>
      request<Page<Run>>("runs", { tenantId, query: new URLSearchParams({ incident_id: incidentId }), signal }),
  });

export const runQuery = (tenantId: string, incidentId: string, runId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "run", runId],
    queryFn: ({ signal }) => request<RunDetail>(`runs/${runId}`, { tenantId, signal }),
  });

export const incidentEvidenceQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "evidence"],
    queryFn: ({ signal }) =>
      request<Page<EvidenceBundle>>("evidence", {
        tenantId, query: new URLSearchParams({ incident_id: incidentId }), signal,
      }),
  });

/** How the rules as they are now judge the incident; the decision itself stands in its events. */
export const explainQuery = (tenantId: string, incident: IncidentDetail) =>
  queryOptions({
    queryKey: [tenantId, "explain", incident.id, incident.version],
    queryFn: ({ signal }) =>
      request<Explanations>("rules/explain", { method: "POST", tenantId, body: { incident: factsOf(incident) }, signal }),
    staleTime: 300_000,
  });

function factsOf(incident: IncidentDetail): Partial<IncidentDetail> {
  const { id, number, title, severity, check_type, host, site, platform, source, summary, labels, details, fingerprint, pack_id, occurrences } = incident;
  return { id, number, title, severity, check_type, host, site, platform, source, summary, labels, details, fingerprint, pack_id, occurrences };
}

export const approvalsKey = (tenantId: string) => [tenantId, "approvals"] as const;

export const approvalsQuery = (tenantId: string, wanted: { state?: string; incident_id?: string }) =>
  queryOptions({
    queryKey: [...approvalsKey(tenantId), wanted],
    queryFn: ({ signal }) => request<Page<Approval>>("approvals", { tenantId, query: new URLSearchParams({ ...wanted, limit: "200" }), signal }),
  });

export const approvalPagesQuery = (tenantId: string, wanted: { state?: string }) =>
  infiniteQueryOptions({
    queryKey: [...approvalsKey(tenantId), "pages", wanted],
    queryFn: ({ signal, pageParam }) =>
      request<Page<Approval>>("approvals", {
        tenantId, signal, query: new URLSearchParams({ ...wanted, limit: "50", ...(pageParam === null ? {} : { cursor: pageParam }) }),
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
  });

const listOf = <Item>(tenantId: string, name: string) =>
  infiniteQueryOptions({
    queryKey: [tenantId, name],
    queryFn: ({ signal, pageParam }) => {
      const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
      if (pageParam !== null) query.set("cursor", pageParam);
      return request<Page<Item>>(name, { tenantId, query, signal });
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor ?? null,
  });

export const evidenceQuery = (tenantId: string) => listOf<EvidenceBundle>(tenantId, "evidence");
export const rulesQuery = (tenantId: string) => listOf<Rule>(tenantId, "rules");
export const keysQuery = (tenantId: string) => listOf<ApiKey>(tenantId, "api-keys");

/** After a command: the stream tells of its effect, and this makes up for a stream that is down. */
export function refreshIncident(client: QueryClient, tenantId: string, id: string): void {
  void client.invalidateQueries({ queryKey: incidentKey(tenantId, id) });
  void client.invalidateQueries({ queryKey: approvalsKey(tenantId) });
  void client.invalidateQueries({ queryKey: [tenantId, "overview"] });
}
