// The words of the API about what people write: rules, playbooks, tools, packs and the policy.
import type { components } from "./schema";
import type { Exact, Severity } from "./types";

type Words = components["schemas"];

export type FieldChange = Words["FieldChangeOut"];

/** One thing that is wrong with a text, and what to do. */
export type DraftProblem = Words["DraftProblem"];

export type RuleSchema = Words["RuleSchema"];
export type KnownField = Words["KnownField"];
export type Operator = Words["OperatorOut"];
export type Runnable = Words["Runnable"];
export type PastRule = Words["PastRuleOut"];
export type RuleMatch = Exact<Words["RuleMatchOut"], { severity: Severity }>;
export type RuleAccepted = Words["RuleAccepted"];

export type PlaybookItem = Words["PlaybookItem"];
export type Playbook = Words["PlaybookOut"];
export type PlaybookCheck = Words["PlaybookCheck"];
export type PlaybookDryRun = Words["PlaybookDryRunOut"];
export type PlaybookDryRunStep = Words["PlaybookDryRunStep"];
export type PastPlaybook = Words["PastPlaybookOut"];
export type PlaybookAccepted = Words["PlaybookAccepted"];
export type RunByHand = Words["RunByHandOut"];

export type Tool = Words["ToolOut"];
export type ToolTest = Words["ToolTestOut"];
export type Secret = Words["SecretItem"];

export type Pack = Words["PackItem"];
export type PackVersions = Words["VersionList"];
export type PackVersion = Words["VersionItem"];
export type PackTestRun = Words["TestRunItem"];
export type PackDiff = Words["PackDiffOut"];

export type Policy = Words["PolicyOut"];
export type PolicyCheck = Words["PolicyCheck"];
export type PastPolicy = Words["PastPolicy"];
export type PolicyPreview = Words["PolicyPreviewOut"];
