// On call as the console asks for it: schedules, policies, channels, contacts, feeds, messages, and what an incident was told.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import { incidentKey } from "./queries";
import type { Json, Page, Severity } from "./types";

export interface PersonRef {
  id: string;
  name: string | null;
}

export interface TimeWindow {
  days: number[];
  begins: string;
  ends: string;
}

export type TurnUnit = "hours" | "days" | "weeks";

export interface Layer {
  name: string;
  people: string[];
  /** Local time of the schedule's zone. */
  starts: string;
  unit: TurnUnit;
  length: number;
  windows: TimeWindow[];
}

export interface Override {
  /** Nobody is on call where there is no person. */
  person: string | null;
  begins: string;
  ends: string;
}

export interface ScheduleDocument {
  time_zone: string;
  layers: Layer[];
  overrides: Override[];
}

export interface Schedule {
  id: string;
  name: string;
  document: ScheduleDocument;
  version: number;
  updated_at: string;
  updated_by: string;
  warnings: string[];
}

export interface Span {
  begins: string;
  ends: string;
  person: PersonRef | null;
}

export interface Preview {
  items: Span[];
  gaps: Span[];
}

export interface OnCallNow {
  schedule_id: string;
  schedule: string;
  person: PersonRef | null;
  until: string | null;
}

export interface Target {
  channel_id: string;
  schedule_id: string | null;
  user_id: string | null;
}

export interface Step {
  targets: Target[];
  wait_seconds: number;
}

export interface QuietHours extends TimeWindow {
  time_zone: string;
  severities: Severity[];
}

export interface PolicyDocument {
  match: { severities: Severity[]; check_types: string[]; sites: string[] };
  steps: Step[];
  repeats: number;
  fallback: Target[];
  quiet_hours: QuietHours[];
  storm: { threshold: number; window_seconds: number; update_seconds: number };
}

export interface EscalationPolicy {
  id: string;
  name: string;
  enabled: boolean;
  position: number;
  document: PolicyDocument;
  version: number;
  updated_at: string;
  updated_by: string;
}

export interface Told {
  channel_id: string;
  channel: string | null;
  channel_kind: string | null;
  person: PersonRef | null;
  why_not: string | null;
}

export interface TriedStep {
  at: string;
  step: number;
  turn: number;
  told: Told[];
}

export interface PolicyTrial {
  policy: string | null;
  quiet_until: string | null;
  items: TriedStep[];
  more: boolean;
}

export const CHANNEL_KINDS = ["slack", "teams", "pagerduty", "email", "sendgrid", "webhook", "sms"] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];

export interface Channel {
  id: string;
  name: string;
  kind: ChannelKind;
  enabled: boolean;
  document: Record<string, Json>;
  version: number;
  updated_at: string;
  updated_by: string;
  callback: string | null;
}

export interface Contact {
  person: PersonRef;
  slack: string | null;
  pagerduty: string | null;
  phone: string | null;
}

export interface Feed {
  id: string;
  name: string;
  whole: boolean;
  person: PersonRef;
  mine: boolean;
  created_at: string;
  last_used_at: string | null;
}

export interface NewFeed extends Feed {
  link: string;
}

export const DELIVERY_STATES = ["queued", "sending", "delivered", "failed", "skipped"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];
export const DELIVERY_KINDS = ["firing", "acknowledged", "resolved", "test"] as const;
export type DeliveryKind = (typeof DELIVERY_KINDS)[number];

export interface DeliveryAttempt {
  at: string;
  state: DeliveryState;
  code: string | null;
  detail: string | null;
}

export interface Delivery {
  id: string;
  escalation_id: string | null;
  incident_id: string | null;
  channel_id: string;
  channel: string | null;
  channel_kind: ChannelKind;
  recipient: string | null;
  person: PersonRef | null;
  kind: DeliveryKind;
  step: number | null;
  state: DeliveryState;
  attempts: number;
  due_at: string;
  error_code: string | null;
  error: string | null;
  sent: Record<string, Json> | null;
  said: string | null;
  history: DeliveryAttempt[];
  created_at: string;
  ended_at: string | null;
}

export interface EscalationClock {
  id: string;
  policy_id: string;
  state: "active" | "acknowledged" | "exhausted" | "grouped" | "resolved";
  reason: string;
  storm_id: string | null;
  members: number;
  position: number;
  due_at: string | null;
  acknowledged_by: string | null;
  acknowledged_at: string | null;
  opened_at: string;
  ended_at: string | null;
}

export interface IncidentEscalation {
  escalation: EscalationClock | null;
  deliveries: Delivery[];
}

const LARGEST = new URLSearchParams({ limit: "200" });

export const escalationKey = (tenantId: string) => [tenantId, "escalation"] as const;

const one = <Answer>(tenantId: string, key: readonly string[], path: string, query?: URLSearchParams) =>
  queryOptions({
    queryKey: [...escalationKey(tenantId), ...key],
    queryFn: ({ signal }) => request<Answer>(path, { tenantId, signal, query }),
  });

/** Everything of a kind, to choose from: a tenant has at most 500 of each. */
const every = <Item>(tenantId: string, kind: string) =>
  queryOptions({
    queryKey: [...escalationKey(tenantId), kind, "every"],
    queryFn: async ({ signal }) => {
      const found: Item[] = [];
      let cursor: string | null = null;
      do {
        const query: URLSearchParams = new URLSearchParams(LARGEST);
        if (cursor !== null) query.set("cursor", cursor);
        const page: Page<Item> = await request<Page<Item>>(`escalation/${kind}`, { tenantId, signal, query });
        found.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor !== null);
      return found;
    },
  });

export const onCallQuery = (tenantId: string) => ({ ...one<{ items: OnCallNow[] }>(tenantId, ["on-call"], "escalation/on-call"), refetchInterval: 60_000 });
export const schedulesQuery = (tenantId: string) => every<Schedule>(tenantId, "schedules");
export const scheduleQuery = (tenantId: string, id: string) => one<Schedule>(tenantId, ["schedules", id], `escalation/schedules/${id}`);
export const previewQuery = (tenantId: string, id: string, days: number) =>
  one<Preview>(tenantId, ["schedules", id, "preview", String(days)], `escalation/schedules/${id}/preview`, new URLSearchParams({ days: String(days) }));
export const escalationPoliciesQuery = (tenantId: string) => every<EscalationPolicy>(tenantId, "policies");
export const channelsQuery = (tenantId: string) => every<Channel>(tenantId, "channels");
export const contactsQuery = (tenantId: string) => one<{ items: Contact[] }>(tenantId, ["contacts"], "escalation/contacts");
export const feedsQuery = (tenantId: string) => pagesOf<Feed>([...escalationKey(tenantId), "feeds"], "escalation/feeds", { tenantId });

export const deliveriesQuery = (tenantId: string, filters: Record<string, string>) =>
  infiniteQueryOptions({
    ...pagesOf<Delivery>([...escalationKey(tenantId), "deliveries"], "escalation/deliveries", { tenantId, filters }),
    refetchInterval: 5_000,
  });

export const incidentEscalationQuery = (tenantId: string, incidentId: string) =>
  queryOptions({
    queryKey: [...incidentKey(tenantId, incidentId), "escalation"],
    queryFn: ({ signal }) => request<IncidentEscalation>(`incidents/${encodeURIComponent(incidentId)}/escalation`, { tenantId, signal }),
    refetchInterval: 10_000,
  });
