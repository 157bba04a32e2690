// The words of the platform's API as the console uses them: the generated ones, made exact where the document cannot say it.
import type { JsonObject } from "./json";
import type { components } from "./schema";

type Words = components["schemas"];
export type Exact<Base, Fields> = Omit<Base, keyof Fields> & Fields;

export type { Json, JsonObject } from "./json";

export type Severity = Words["IncidentItem"]["severity"];
export type IncidentState = Words["State"];
export type Level = NonNullable<Words["IncidentItem"]["level"]>;

export const SEVERITIES = everyOne<Severity>()("critical", "high", "medium", "low", "info");
export const STATES = everyOne<IncidentState>()(
  "open", "triaged", "planning", "awaiting_approval", "healing", "verifying", "escalated", "suppressed", "resolved", "closed",
);
export const LEVELS = everyOne<Level>()("L1", "L2", "L3");

/** What was asked for, as it is kept: with its defaults. */
export type Filled<Asked> = Asked extends (infer Item)[] ? Filled<Item>[] : Asked extends object ? { [Name in keyof Asked]-?: Filled<Asked[Name]> } : Asked;

export type Stage = Words["PromotionItem"]["state"];
export type PlanOutcome = Words["PlannerDecisionItem"]["outcome"];
export type ChainLink = Words["ChainLink"];

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
export type IncidentDetail = Words["IncidentOut"];

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

export type Approval = Exact<Words["ApprovalOut"], { severity: Severity }>;

export type Run = Words["RunItem"];
export type RunStep = Words["StepOut"];
export type RunDetail = Exact<Words["RunOut"], { steps: RunStep[] }>;

export type Rule = Words["RuleItem"];
export type ConditionResult = Words["ConditionOut"];
export type RuleExplanation = Words["RuleExplanationOut"];
export type Explanations = Words["ExplainOut"];
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

/** Lists every value of a word, in the order in which people want them; the compiler says when the platform has one more. */
export function everyOne<Value extends string>() {
  return <Given extends Value[]>(...given: Given & ([Value] extends [Given[number]] ? unknown : "one is missing")): readonly Value[] => given;
}
