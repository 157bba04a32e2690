// The words of the platform's API as the console uses them.

export const SEVERITIES = ["critical", "high", "medium", "low", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const STATES = [
  "open",
  "triaged",
  "planning",
  "awaiting_approval",
  "healing",
  "verifying",
  "escalated",
  "suppressed",
  "resolved",
  "closed",
] as const;
export type IncidentState = (typeof STATES)[number];

export const LEVELS = ["L1", "L2", "L3"] as const;
export type Level = (typeof LEVELS)[number];

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

export interface Accepted {
  id: string;
  status: string;
  href: string;
}

export interface SignIn {
  access_token: string;
  token_type: string;
  expires_in: number;
  must_change_password: boolean;
}

export interface Membership {
  id: string;
  name: string;
  slug: string;
  role: string | null;
}

export interface Me {
  id: string;
  kind: "user" | "api_key";
  email: string | null;
  name: string;
  is_platform_admin: boolean;
  must_change_password: boolean;
  tenants: Membership[];
  permissions: string[];
}

export interface Tenant {
  id: string;
  name: string;
  slug: string;
}

export interface Incident {
  id: string;
  number: number;
  title: string;
  state: IncidentState;
  severity: Severity;
  level: Level | null;
  check_type: string;
  host: string | null;
  site: string | null;
  platform: string | null;
  occurrences: number;
  pack_id: string | null;
  rule_id: string | null;
  opened_at: string;
  last_seen_at: string;
  resolved_at: string | null;
  closed_at: string | null;
  version: number;
}

export interface IncidentDetail extends Incident {
  source: string | null;
  summary: string | null;
  resolution: string | null;
  details: JsonObject;
  labels: Record<string, string>;
  fingerprint: string;
  decision: JsonObject | null;
  run_id: string | null;
  bundle_id: string | null;
}

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

export interface Overview {
  open: Partial<Record<Severity, number>>;
  by_state: Partial<Record<IncidentState, number>>;
  needs_attention: Incident[];
  levels: Partial<Record<Level, number>>;
  median_heal_seconds: number | null;
  exceptions_24h: number;
  incidents_24h: number;
  noise_removed_share: number | null;
  series: { hour: string; opened: number; resolved: number }[];
}

export interface Approval {
  id: string;
  kind: "approval" | "suggestion";
  state: "pending" | "approved" | "rejected" | "expired" | "withdrawn";
  incident_id: string;
  incident_number: number;
  incident_title: string;
  severity: Severity;
  check_type: string;
  host: string | null;
  rule_id: string;
  reason: string;
  plan: JsonObject;
  plan_hash: string;
  approvers: string[];
  may_decide: boolean;
  requested_at: string;
  expires_at: string;
  decided_at: string | null;
  decided_by: string | null;
  decision_reason: string | null;
}

export interface Run {
  id: string;
  incident_id: string | null;
  state: string;
  playbook_id?: string;
  title?: string;
  outcome?: string | null;
  reason?: string | null;
  started_at?: string | null;
  finished_at?: string | null;
}

export interface RunDetail extends Run {
  steps: RunStep[];
}

export interface RunStep {
  id: string;
  step_id?: string;
  path?: string;
  title?: string | null;
  tool: string | null;
  phase?: string;
  state: string;
  attempts: number;
  input: Json;
  output: Json;
  error?: Json;
  started_at: string | null;
  finished_at: string | null;
}

export interface Rule {
  id: string;
  title: string | null;
  description: string | null;
  priority: number;
  enabled: boolean;
  conditions: Json[];
  action: string;
  runbook_id: string | null;
  playbook_id: string | null;
  reason: string | null;
  cooldown_seconds: number;
  max_attempts: number;
  source: string;
  pack_id: string | null;
}

export interface ConditionResult {
  path: string;
  field: string;
  operator: string;
  expected: Json;
  present: boolean;
  actual: Json;
  holds: boolean;
}

export interface RuleExplanation {
  rule_id: string;
  priority: number;
  enabled: boolean;
  matched: boolean;
  winner: boolean;
  reason: string;
  conditions: ConditionResult[];
}

export interface Explanations {
  winner: string | null;
  considered: number;
  matched: number;
  items: RuleExplanation[];
}

export interface DryRun {
  rule_id: string;
  days: number;
  considered: number;
  matched: number;
  won: number;
  instead_of: Record<string, number>;
  truncated: boolean;
  examples: JsonObject[];
}

export interface EvidenceBundle {
  id: string;
  incident_id: string;
  sequence: number;
  hash: string;
  previous_hash: string | null;
  signature: string;
  key_id: string;
  sealed_at: string;
  bundle?: JsonObject;
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  scopes: string[];
  created_by: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface NewApiKey extends ApiKey {
  secret: string;
}

export interface LiveMessage {
  type: string;
  tenant_id: string;
  position: number;
  occurred_at: string;
  data: JsonObject;
}
