// What the screens of authors read: rules, playbooks, tools, packs and the policy.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import type {
  Pack, PackDiff, PackTestRun, PackVersions, PastPlaybook, PastPolicy, PastRule, Playbook, PlaybookItem, Policy, RuleSchema, Secret, Tool,
} from "./authoring";
import type { JsonObject, Page, Rule, Run, RunDetail } from "./types";

const SCHEMA_STALE_MS = 300_000;
const HISTORY_PAGE = "20";

function one<Answer>(tenantId: string, key: readonly string[], path: string, query?: Record<string, string>) {
  return queryOptions({
    queryKey: [tenantId, ...key, ...(query === undefined ? [] : [query])],
    queryFn: ({ signal }) => request<Answer>(path, { tenantId, signal, ...(query === undefined ? {} : { query: new URLSearchParams(query) }) }),
  });
}

function pages<Item>(tenantId: string, key: readonly string[], path: string, wanted: Record<string, string> = {}) {
  return infiniteQueryOptions({
    queryKey: [tenantId, ...key, "pages", wanted],
    queryFn: ({ signal, pageParam }) =>
      request<Page<Item>>(path, {
        tenantId, signal, query: new URLSearchParams({ limit: HISTORY_PAGE, ...wanted, ...(pageParam === null ? {} : { cursor: pageParam }) }),
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
  });
}

const path = encodeURIComponent;

export const ruleQuery = (tenantId: string, id: string) => one<Rule>(tenantId, ["rules", "one", id], `rules/${path(id)}`);
export const ruleHistoryQuery = (tenantId: string, id: string) => pages<PastRule>(tenantId, ["rules", "history", id], `rules/${path(id)}/history`);
export const ruleSchemaQuery = (tenantId: string) => ({
  ...one<RuleSchema>(tenantId, ["rules", "schema"], "rules/schema"), staleTime: SCHEMA_STALE_MS,
});

export const playbooksQuery = (tenantId: string) => one<{ items: PlaybookItem[] }>(tenantId, ["playbooks"], "playbooks");
export const playbookQuery = (tenantId: string, id: string) => one<Playbook>(tenantId, ["playbooks", "one", id], `playbooks/${path(id)}`);
export const playbookHistoryQuery = (tenantId: string, id: string) =>
  pages<PastPlaybook>(tenantId, ["playbooks", "history", id], `playbooks/${path(id)}/history`);
export const playbookRunsQuery = (tenantId: string, id: string) => pages<Run>(tenantId, ["runs"], "runs", { playbook_id: id });
export const oneRunQuery = (tenantId: string, id: string) => one<RunDetail>(tenantId, ["runs", "one", id], `runs/${path(id)}`);

export const toolsQuery = (tenantId: string) => one<{ items: Tool[] }>(tenantId, ["tools"], "tools");
export const secretsQuery = (tenantId: string) => one<{ items: Secret[] }>(tenantId, ["secrets"], "secrets");

export const packsQuery = (tenantId: string) => one<{ items: Pack[] }>(tenantId, ["packs"], "packs");
export const packVersionsQuery = (tenantId: string, id: string) => one<PackVersions>(tenantId, ["packs", "versions", id], `packs/${path(id)}/versions`);
export const packTestsQuery = (tenantId: string, id: string) => one<{ items: PackTestRun[] }>(tenantId, ["packs", "tests", id], `packs/${path(id)}/tests`);
export const packDiffQuery = (tenantId: string, id: string, from: string, to: string) =>
  one<PackDiff>(tenantId, ["packs", "diff", id], `packs/${path(id)}/diff`, { from, to });

export const policyQuery = (tenantId: string) => one<Policy>(tenantId, ["policy"], "policy");
export const policySchemaQuery = (tenantId: string) => ({
  ...one<JsonObject>(tenantId, ["policy", "schema"], "policy/schema"), staleTime: SCHEMA_STALE_MS,
});
export const policyTemplatesQuery = (tenantId: string) => one<{ items: JsonObject[] }>(tenantId, ["policy", "templates"], "policy/templates");
export const policyHistoryQuery = (tenantId: string) => pages<PastPolicy>(tenantId, ["policy", "history"], "policy/history");
