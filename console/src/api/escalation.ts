// On call as the console asks for it: schedules, policies, channels, contacts, feeds, messages, and what an incident was told.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import { incidentKey } from "./queries";
import type { components } from "./schema";
import { everyOne, type Exact, type Filled, type Page } from "./types";

type Words = components["schemas"];
export type PersonRef = Words["PersonRef"];
export type TimeWindow = Filled<Words["WindowIn"]>;

export type TurnUnit = Layer["unit"];
export type Layer = Filled<Words["LayerIn"]>;
export type Override = Filled<Words["OverrideIn"]>;
export type ScheduleDocument = Filled<Omit<Words["ScheduleBody"], "name">>;
export type Schedule = Exact<Words["ScheduleOut"], { document: ScheduleDocument }>;
export type Span = Words["SpanOut"];
export type Preview = Words["PreviewOut"];
export type OnCallNow = Words["OnCallNow"];
export type Target = Filled<Words["TargetIn"]>;
export type Step = Filled<Words["EscalationStepIn"]>;
export type QuietHours = Filled<Words["QuietIn"]>;
export type PolicyDocument = Filled<Omit<Words["EscalationPolicyBody"], "name" | "enabled" | "position">>;
/** A policy as it is written, before it is kept. */
export type PolicyDraft = Filled<Words["EscalationPolicyBody"]>;
export type EscalationPolicy = Exact<Words["EscalationPolicyOut"], { document: PolicyDocument }>;
export type Told = Words["ToldOut"];
export type PolicyTrial = Words["TrialOut"];

export type ChannelKind = Words["ChannelOut"]["kind"];
export const CHANNEL_KINDS = everyOne<ChannelKind>()("slack", "teams", "pagerduty", "email", "sendgrid", "webhook", "sms");
export type Channel = Words["ChannelOut"];
export type Contact = Words["ContactOut"];
export type Feed = Words["FeedOut"];
export type NewFeed = Words["NewFeed"];

export type DeliveryState = Words["DeliveryOut"]["state"];
export const DELIVERY_STATES = everyOne<DeliveryState>()("queued", "sending", "delivered", "failed", "skipped");
export type DeliveryKind = Words["DeliveryOut"]["kind"];
export const DELIVERY_KINDS = everyOne<DeliveryKind>()("firing", "acknowledged", "resolved", "test");
export type Delivery = Words["DeliveryOut"];
export type EscalationClock = Words["EscalationOut"];
export type IncidentEscalation = Words["IncidentEscalation"];

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
