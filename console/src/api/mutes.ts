// What mutes, as the console asks for it: silences, windows, inhibition, dependencies, their calendar, and why somebody was told.
import { queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import { incidentKey } from "./queries";
import type { components } from "./schema";
import { everyOne, type Exact, type IncidentState, type Page, type Severity } from "./types";

type Words = components["schemas"];

export type MuteKind = Words["MuteOut"]["kind"];
export const MUTE_KINDS = everyOne<MuteKind>()("silence", "window", "inhibition", "dependency");
export type MuteState = Words["MuteOut"]["state"];
export const MUTE_STATES = everyOne<MuteState>()("active", "pending", "ended");
export const EFFECTS = ["suppress", "hold", "only_then"] as const;
export type Effect = (typeof EFFECTS)[number];

export type MatchedIncident = Exact<Words["MatchedIncident"], { state: IncidentState; severity: Severity }>;
export type Mute = Words["MuteOut"];
export type PastMute = Words["PastMute"];
export type MutePreview = Exact<Words["MutePreview"], { items: MatchedIncident[] }>;
export type CalendarSpan = Words["CalendarSpan"];
export type WhyReason = Words["WhyReason"];
export type MessageWhy = Words["MessageWhy"];
export type IncidentWhy = Words["IncidentWhy"];
export type StormMember = Words["StormMember"];
export type Storm = Exact<Words["StormOut"], { state: IncidentState; severity: Severity }>;
export type StormPace = Words["StormPace"];
export type Correlation = Exact<Words["CorrelationOut"], { members: MatchedIncident[] }>;

export const mutesKey = (tenantId: string) => [tenantId, "mutes"] as const;

export const mutesQuery = (tenantId: string, filters: Record<string, string>) => pagesOf<Mute>([...mutesKey(tenantId), "list"], "mutes", { tenantId, filters });

export const declaredQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [...mutesKey(tenantId), "declared"],
    queryFn: ({ signal }) => request<{ items: Mute[] }>("mutes/declared", { tenantId, signal }),
  });

export const calendarQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [...mutesKey(tenantId), "calendar"],
    queryFn: ({ signal }) => request<{ items: CalendarSpan[] }>("mutes/calendar", { tenantId, signal }),
    refetchInterval: 60_000,
  });

export const muteHistoryQuery = (tenantId: string, id: string) => pagesOf<PastMute>([...mutesKey(tenantId), id, "history"], `mutes/${id}/history`, { tenantId });

export const whyQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "explain"],
    queryFn: ({ signal }) => request<IncidentWhy>(`incidents/${encodeURIComponent(incidentId)}/explain`, { tenantId, signal }),
    refetchInterval: 10_000,
  });

export const stormQuery = (tenantId: string, incidentId: string) =>
  pagesOf<StormMember>([...incidentKey(tenantId, incidentId), "storm"], `incidents/${encodeURIComponent(incidentId)}/storm`, { tenantId });

export const stormsQuery = (tenantId: string, filters: Record<string, string>) => ({
  ...pagesOf<Storm>([tenantId, "storms"], "storms", { tenantId, filters }),
  refetchInterval: 10_000,
});

export const paceQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "pace"],
    queryFn: ({ signal }) => request<StormPace>(`incidents/${encodeURIComponent(incidentId)}/pace`, { tenantId, signal }),
    refetchInterval: 30_000,
  });

export const correlationsQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "correlations"],
    queryFn: ({ signal }) => request<Page<Correlation>>("correlations", { tenantId, signal, query: new URLSearchParams({ incident_id: incidentId }) }),
    refetchInterval: 30_000,
  });
