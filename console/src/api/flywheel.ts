// The flywheel as the console asks for it: patterns, the rules that grew from them, and what healing by itself saved.
import { queryOptions } from "@tanstack/react-query";
import type { FieldChange } from "./authoring";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import type { JsonObject } from "./types";

export const STAGES = ["proposed", "shadow", "canary", "full", "retired", "dismissed", "adopted"] as const;
export type Stage = (typeof STAGES)[number];

export interface Pattern {
  id: string;
  pattern: string;
  check_type: string;
  platform: string | null;
  title: string | null;
  total: number;
  l1: number;
  l2: number;
  l3: number;
  succeeded: number;
  failed: number;
  lower_bound: number;
  median_heal_seconds: number | null;
  last_at: string;
  last_incident_id: string | null;
  promotion: Stage | null;
}

export interface Choice {
  choice: string;
  succeeded: number;
  failed: number;
  recent: string;
  lower_bound: number;
  eligible: boolean;
  criteria: { name: string; wanted: string; found: string; met: boolean }[];
  rule: JsonObject | null;
  detail: string | null;
}

export interface PatternEvidence extends Pattern {
  choices: Choice[];
}

export interface Promotion {
  id: string;
  rule_id: string;
  pattern: string;
  choice: string;
  check_type: string;
  state: Stage;
  version: number;
  successes: number;
  shadow: { seen: number; right: number; wrong: number; other: number };
  healed: number;
  failed: number;
  proposed_at: string;
  stage_at: string;
  promoted_by: string | null;
  ended_by: string | null;
  ended_reason: string | null;
}

export interface PromotionDetail extends Promotion {
  rule: JsonObject;
  evidence: JsonObject;
  back_test: {
    days: number;
    considered: number;
    matched: number;
    won: number;
    decided_by_others?: Record<string, number>;
    ended?: Record<string, number>;
    examples?: { id: string; number: number; title: string }[];
  };
  changes: FieldChange[];
  beside: { rule_id: string; priority: number; source: string; action: string }[];
  objection: string | null;
}

export interface FlywheelSummary {
  days: number;
  by_day: { day: string; l1: number; l2: number; l3: number; grown: number }[];
  saved: {
    heals: number;
    grown_heals: number;
    hours: number;
    grown_hours: number;
    money: number;
    grown_money: number;
    currency: string;
    minutes_by_hand: number;
    cost_per_hour: number;
  };
  states: Partial<Record<Stage, number>>;
  promotion: "by_person" | "by_itself";
  enabled: boolean;
}

export type Move = "promote" | "retire" | "restore";

const key = (tenantId: string) => [tenantId, "flywheel"] as const;

export const flywheelKey = key;

export const flywheelQuery = (tenantId: string, days: number) =>
  queryOptions({
    queryKey: [...key(tenantId), "summary", days],
    queryFn: ({ signal }) => request<FlywheelSummary>("flywheel/summary", { tenantId, signal, query: new URLSearchParams({ days: String(days) }) }),
  });

export const patternsQuery = (tenantId: string, filters: Record<string, string>) => {
  const pages = pagesOf<Pattern>([...key(tenantId), "patterns"], "flywheel/patterns", { tenantId, filters });
  return { ...pages, select: (data: { pages: { items: Pattern[]; next_cursor: string | null }[]; pageParams: (string | null)[] }) => ({ ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map((item) => ({ ...item, id: item.pattern })) })) }) };
};

export const patternQuery = (tenantId: string, pattern: string) =>
  queryOptions({
    queryKey: [...key(tenantId), "pattern", pattern],
    queryFn: ({ signal }) => request<PatternEvidence>(`flywheel/patterns/${encodeURIComponent(pattern)}`, { tenantId, signal }),
  });

export const promotionsQuery = (tenantId: string, filters: Record<string, string>) =>
  pagesOf<Promotion>([...key(tenantId), "promotions"], "flywheel/promotions", { tenantId, filters });

export const promotionQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [...key(tenantId), "promotion", id],
    queryFn: ({ signal }) => request<PromotionDetail>(`flywheel/promotions/${id}`, { tenantId, signal }),
  });

export function movePromotion(tenantId: string, promotion: Pick<Promotion, "id" | "version">, move: Move, reason: string) {
  return request<{ state: Stage; version: number }>(`flywheel/promotions/${promotion.id}/${move}`, {
    method: "POST", tenantId, body: { reason, version: promotion.version },
  });
}
