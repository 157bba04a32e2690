// The planner as the console asks for it: its chain, budgets, costs, decisions and calibration.
import { queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";

export const OUTCOMES = ["chosen", "unsure", "abstained", "no_candidate", "failed"] as const;
export type PlanOutcome = (typeof OUTCOMES)[number];

interface Money {
  amount: string;
  currency: string;
}

export interface ChainLink {
  name: string;
  kind: "retrieval" | "openai" | "anthropic";
  model: string;
  breaker: "closed" | "open" | "half_open";
  is_charged: boolean;
  asked_today: number;
  answered_today: number;
  mean_latency_ms: number | null;
}

export interface Planner {
  enabled: boolean;
  prose: "withheld" | "masked";
  autonomy: string;
  least_confidence: number;
  sovereign: boolean;
  chain: ChainLink[];
  budgets: { kind: "calls" | "tokens" | "usd"; used: string; most: string | null; is_used_up: boolean }[];
  calibration: { number: number; error: number | null; points: { claimed: number; came_true: number; number: number }[]; corrects_from: number };
  waiting: number;
}

export interface UsageRow {
  key: string;
  model: string;
  asked: number;
  answered: number;
  calls: number;
  input_tokens: number;
  output_tokens: number;
  cost: Money;
  mean_latency_ms: number | null;
}

export interface Usage {
  by: "day" | "month" | "model";
  first: string;
  last: string;
  items: UsageRow[];
  total: UsageRow;
}

export interface PlannerDecision {
  id: string;
  incident_id: string;
  incident_title: string | null;
  decided_at: string;
  outcome: PlanOutcome;
  choice: string | null;
  provider: string;
  model: string;
  confidence: number;
  claimed: number;
  requires_human_review: boolean;
  cached: boolean;
  calls: number;
  input_tokens: number;
  output_tokens: number;
  cost: Money;
  latency_ms: number;
  result: "healed" | "not_healed" | null;
}

const key = (tenantId: string) => [tenantId, "planner"] as const;

export const plannerQuery = (tenantId: string) =>
  queryOptions({ queryKey: [...key(tenantId), "shown"], queryFn: ({ signal }) => request<Planner>("planner", { tenantId, signal }), refetchInterval: 30_000 });

export const usageQuery = (tenantId: string, by: Usage["by"]) =>
  queryOptions({
    queryKey: [...key(tenantId), "usage", by],
    queryFn: ({ signal }) => request<Usage>("planner/usage", { tenantId, signal, query: new URLSearchParams({ by }) }),
  });

export const decisionsQuery = (tenantId: string, filters: Record<string, string>) =>
  pagesOf<PlannerDecision>([...key(tenantId), "decisions"], "planner/decisions", { tenantId, filters });
