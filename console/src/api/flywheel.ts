// The flywheel as the console asks for it: patterns, the rules that grew from them, and what healing by itself saved.
import { queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import type { components } from "./schema";
import { everyOne, type Exact, type Stage } from "./types";

type Words = components["schemas"];

export const STAGES = everyOne<Stage>()("proposed", "shadow", "canary", "full", "retired", "dismissed", "adopted");

export type Pattern = Words["PatternItem"];
export type Choice = Words["ChoiceOut"];
export type PatternEvidence = Words["PatternOut"];
export type Promotion = Words["PromotionItem"];
export type PromotionDetail = Words["PromotionOut"];
export type FlywheelSummary = Exact<Words["FlywheelSummary"], { states: Partial<Record<Stage, number>> }>;

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
