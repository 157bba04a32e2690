// The planner as the console asks for it: its chain, budgets, costs, decisions and calibration.
import { queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import type { components } from "./schema";
import { everyOne, type PlanOutcome } from "./types";

type Words = components["schemas"];

export const OUTCOMES = everyOne<PlanOutcome>()("chosen", "unsure", "abstained", "no_candidate", "failed");

export type Planner = Words["PlannerOut"];
export type UsageRow = Words["UsageRow"];
export type Usage = Words["UsageOut"];
export type PlannerDecision = Words["PlannerDecisionItem"];

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
