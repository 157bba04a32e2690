// What mutes, as the console asks for it: silences, windows, inhibition, dependencies, their calendar, and why somebody was told.
import { queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import { incidentKey } from "./queries";
import type { IncidentState, Json, Page, Severity } from "./types";

export const MUTE_KINDS = ["silence", "window", "inhibition", "dependency"] as const;
export type MuteKind = (typeof MUTE_KINDS)[number];
export const MUTE_STATES = ["active", "pending", "ended"] as const;
export type MuteState = (typeof MUTE_STATES)[number];
export const EFFECTS = ["suppress", "hold", "only_then"] as const;
export type Effect = (typeof EFFECTS)[number];

export interface Mute {
  id: string;
  kind: MuteKind;
  title: string;
  origin: "tenant" | "policy" | "pack";
  document: Record<string, Json>;
  state: MuteState;
  holds: boolean;
  changes_at: string | null;
  muted: number;
  version: number;
  created_by: string | null;
  created_by_name: string | null;
  created_at: string | null;
  updated_at: string | null;
}

export interface PastMute {
  version: number;
  did: "created" | "changed" | "ended" | "restored";
  by: string;
  by_name: string | null;
  at: string;
}

export interface MutePreview {
  looked_at: number;
  matched: number;
  items: { id: string; number: number; title: string; state: IncidentState; severity: Severity; check_type: string; host: string | null; site: string | null }[];
}

export interface CalendarSpan {
  mute_id: string;
  title: string;
  effect: "silence" | Effect;
  origin: "tenant" | "policy";
  covers: string;
  begins: string;
  ends: string;
  is_cut: boolean;
}

export interface WhyReason {
  code: string;
  text: string;
  at: string | null;
  mute_id: string | null;
  incident_id: string | null;
}

export interface MessageWhy {
  id: string;
  kind: string;
  channel_kind: string;
  verdict: "sent" | "waiting" | "not_sent";
  reasons: WhyReason[];
  next_at: string | null;
}

export interface IncidentWhy {
  verdict: "told" | "will_be_told" | "muted" | "nobody_to_tell" | "acknowledged" | "over" | "not_needed";
  reasons: WhyReason[];
  next_at: string | null;
  messages: MessageWhy[];
}

export interface StormMember {
  fingerprint: string;
  host: string | null;
  is_firing: boolean;
  occurrences: number;
  last_at: string;
}

export interface Correlation {
  id: string;
  key: string;
  title: string;
  state: "candidate" | "confirmed" | "dismissed";
  cause_id: string | null;
  version: number;
  members: MutePreview["items"];
}

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

export const muteHistoryQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [...mutesKey(tenantId), id, "history"],
    queryFn: ({ signal }) => request<{ items: PastMute[] }>(`mutes/${id}/history`, { tenantId, signal }),
  });

export const whyQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "explain"],
    queryFn: ({ signal }) => request<IncidentWhy>(`incidents/${encodeURIComponent(incidentId)}/explain`, { tenantId, signal }),
    refetchInterval: 10_000,
  });

export const stormQuery = (tenantId: string, incidentId: string) =>
  pagesOf<StormMember>([...incidentKey(tenantId, incidentId), "storm"], `incidents/${encodeURIComponent(incidentId)}/storm`, { tenantId });

export const correlationsQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "correlations"],
    queryFn: ({ signal }) => request<Page<Correlation>>("correlations", { tenantId, signal, query: new URLSearchParams({ incident_id: incidentId }) }),
    refetchInterval: 30_000,
  });
