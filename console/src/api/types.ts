// The words of the platform's API as the console uses them: the generated ones, made exact where the document cannot say it.
import type { components } from "./schema";

type Words = components["schemas"];
export type Exact<Base, Fields> = Omit<Base, keyof Fields> & Fields;

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export type Severity = Words["IncidentItem"]["severity"];
export type IncidentState = Words["State"];
export type Level = NonNullable<Words["IncidentItem"]["level"]>;

/* In the order in which people want them; the compiler says when the platform has one more. */
export const SEVERITIES = everyOne<Severity>()("critical", "high", "medium", "low", "info");
export const STATES = everyOne<IncidentState>()(
  "open", "triaged", "planning", "awaiting_approval", "healing", "verifying", "escalated", "suppressed", "resolved", "closed",
);
export const LEVELS = everyOne<Level>()("L1", "L2", "L3");

export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

export interface Accepted {
  id: string;
  status: "accepted";
  href: string;
}
export type SignIn = Words["AccessToken"];
export type Me = Words["Me"];
export type Membership = Words["TenantOfMine"];
export type Tenant = Words["TenantOut"];

export type Incident = Words["IncidentItem"];
export type IncidentDetail = Exact<Words["IncidentOut"], { details: JsonObject; decision: JsonObject | null }>;

export interface StoredEvent {
  id: string;
  stream: { type: string; id: string };
  version: number;
  type: string;
  data: JsonObject;
  metadata: { actor?: string; correlation_id?: string | null; causation_id?: string | null; request_id?: string | null };
  occurred_at: string;
  position: number;
}

export type Overview = Exact<
  Words["Overview"],
  {
    open: Partial<Record<Severity, number>>;
    by_state: Partial<Record<IncidentState, number>>;
    levels: Partial<Record<Level, number>>;
  }
>;

export type Approval = Exact<Words["ApprovalOut"], { severity: Severity; plan: JsonObject }>;

export type Run = Words["RunItem"];
export type RunStep = Exact<Words["StepOut"], { input: Json; output: Json; error: JsonObject | null }>;
export type RunDetail = Exact<Words["RunOut"], { steps: RunStep[]; parameters: JsonObject }>;

export type Rule = Exact<Words["RuleItem"], { conditions: Json[] }>;
export type ConditionResult = Exact<Words["ConditionOut"], { expected: Json; actual: Json }>;
export type RuleExplanation = Exact<Words["RuleExplanationOut"], { conditions: ConditionResult[] }>;
export type Explanations = Exact<Words["ExplainOut"], { items: RuleExplanation[] }>;
export type DryRun = Words["RuleDryRunOut"];

export type EvidenceBundle = Words["BundleItem"];

export type ApiKey = Words["ApiKeyOut"];
export type NewApiKey = Words["ApiKeyIssued"];

export interface LiveMessage {
  type: string;
  tenant_id: string;
  position: number;
  occurred_at: string;
  data: JsonObject;
}

function everyOne<Value extends string>() {
  return <Given extends Value[]>(...given: Given & ([Value] extends [Given[number]] ? unknown : "one is missing")): readonly Value[] => given;
}
