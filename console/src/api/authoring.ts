// The words of the API about what people write: rules, playbooks, tools, packs and the policy.
import type { components } from "./schema";
import type { Exact, Json, JsonObject, Severity } from "./types";

type Words = components["schemas"];

export interface FieldChange {
  pointer: string;
  kind: "added" | "removed" | "changed";
  before: Json;
  after: Json;
}

/** One thing that is wrong with a text, and what to do. */
export type DraftProblem = Words["DraftProblem"];

export type RuleSchema = Exact<Words["RuleSchema"], { rule_schema: JsonObject; fields: KnownField[]; runbooks: Runnable[]; playbooks: Runnable[] }>;
export type KnownField = Exact<Words["KnownField"], { values: Json[] }>;
export type Operator = Words["OperatorOut"];
export type Runnable = Exact<Words["Runnable"], { parameters: JsonObject }>;
export type PastRule = Exact<Words["PastRuleOut"], { rule: JsonObject | null; changes: FieldChange[] }>;
export type RuleMatch = Exact<Words["RuleMatchOut"], { severity: Severity }>;
export type RuleAccepted = Words["RuleAccepted"];

export type PlaybookItem = Exact<Words["PlaybookItem"], { parameters: JsonObject }>;
export type Playbook = Exact<Words["PlaybookOut"], { parameters: JsonObject; definition: JsonObject }>;
export type PlaybookCheck = Exact<Words["PlaybookCheck"], { definition: JsonObject | null }>;
export type PlaybookDryRun = Exact<Words["PlaybookDryRunOut"], { steps: PlaybookDryRunStep[] }>;
export type PlaybookDryRunStep = Exact<Words["PlaybookDryRunStep"], { input: Json; would: Json }>;
export type PastPlaybook = Words["PastPlaybookOut"];
export type PlaybookAccepted = Words["PlaybookAccepted"];
export type RunByHand = Words["RunByHandOut"];

export type Tool = Exact<Words["ToolOut"], { input_schema: JsonObject; output_schema: JsonObject }>;
export type ToolTest = Exact<Words["ToolTestOut"], { output: Json; error: JsonObject | null }>;
export type Secret = Words["SecretItem"];

export type Pack = Words["PackItem"];
export type PackVersions = Words["VersionList"];
export type PackVersion = Words["VersionItem"];
export type PackTestRun = Exact<Words["TestRunItem"], { cases: PackTestCase[] }>;
export interface PackTestCase {
  name: string;
  passed: boolean;
  rule: string | null;
  failures: string[];
}
export interface PackDiff {
  from: string;
  to: string;
  empty: boolean;
  manifest: FieldChange[];
  sections: Record<string, { added: string[]; removed: string[]; changed: Record<string, FieldChange[]> }>;
}

export type Policy = Exact<Words["PolicyOut"], { policy: JsonObject }>;
export type PolicyCheck = Exact<Words["PolicyCheck"], { policy: JsonObject | null }>;
export type PastPolicy = Exact<Words["PastPolicy"], { policy: JsonObject; changes: FieldChange[] }>;
export type PolicyPreview = Words["PolicyPreviewOut"];
