// Rules over time as the console asks for them: the rules, what they remember now, what they found, and trials.
import { queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import type { components } from "./schema";
import type { JsonObject } from "./types";

type Words = components["schemas"];

export type TemporalRule = Words["TemporalRuleItem"];
export type TemporalAccepted = Words["TemporalRuleAccepted"];
export type TemporalKey = Words["TemporalKeyOut"];
export type TemporalFiring = Words["TemporalFiringOut"];
export type TemporalDryRun = Words["TemporalDryRunOut"];
export type TemporalMemory = Words["TemporalMemory"];
export type PastTemporalRule = Words["PastTemporalRuleOut"];

export const temporalKey = (tenantId: string) => [tenantId, "temporal-rules"] as const;

const path = (id: string) => `temporal-rules/${encodeURIComponent(id)}`;
const LIVE_MS = 5_000;

export const temporalRulesQuery = (tenantId: string, filters: Record<string, string>) =>
  pagesOf<TemporalRule>([...temporalKey(tenantId), "list"], "temporal-rules", { tenantId, filters });

export const temporalMemoryQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [...temporalKey(tenantId), "memory"],
    queryFn: ({ signal }) => request<TemporalMemory>("temporal-rules/memory", { tenantId, signal }),
  });

export const temporalRuleQuery = (tenantId: string, id: string) =>
  queryOptions({
    queryKey: [...temporalKey(tenantId), "one", id],
    queryFn: ({ signal }) => request<TemporalRule>(path(id), { tenantId, signal }),
  });

export const temporalSchemaQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [...temporalKey(tenantId), "schema"],
    queryFn: ({ signal }) => request<JsonObject>("temporal-rules/schema", { tenantId, signal }),
    staleTime: Infinity,
  });

export const temporalKeysQuery = (tenantId: string, id: string, filters: Record<string, string>) => ({
  ...pagesOf<TemporalKey>([...temporalKey(tenantId), "keys", id], `${path(id)}/keys`, { tenantId, filters }),
  refetchInterval: LIVE_MS,
});

export const temporalFiringsQuery = (tenantId: string, id: string) => pagesOf<TemporalFiring>([...temporalKey(tenantId), "firings", id], `${path(id)}/firings`, { tenantId });

export const temporalHistoryQuery = (tenantId: string, id: string) => pagesOf<PastTemporalRule>([...temporalKey(tenantId), "history", id], `${path(id)}/history`, { tenantId });

export const createTemporalRule = (tenantId: string, rule: JsonObject) => request<TemporalAccepted>("temporal-rules", { method: "POST", tenantId, body: rule });

export const changeTemporalRule = (tenantId: string, id: string, rule: JsonObject, version: number) =>
  request<TemporalAccepted>(path(id), { method: "PUT", tenantId, body: { ...rule, version } });

export const switchTemporalRule = (tenantId: string, id: string, enabled: boolean, version: number | null) =>
  request<TemporalAccepted>(path(id), { method: "PATCH", tenantId, body: { enabled, version } });

export const deleteTemporalRule = (tenantId: string, id: string, version: number) =>
  request<TemporalAccepted>(path(id), { method: "DELETE", tenantId, query: new URLSearchParams({ version: String(version) }) });

export const forgetTemporalKey = (tenantId: string, id: string, keyId: string) =>
  request(`${path(id)}/keys/${encodeURIComponent(keyId)}`, { method: "DELETE", tenantId });

export const restoreTemporalRule = (tenantId: string, id: string, to: number, version: number | null) =>
  request<TemporalAccepted>(`${path(id)}/restore`, { method: "POST", tenantId, body: { to, version } });

export const tryTemporalRule = (tenantId: string, rule: JsonObject) => request<TemporalDryRun>("temporal-rules/dry-run", { method: "POST", tenantId, body: { rule } });
