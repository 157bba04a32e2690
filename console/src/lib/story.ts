// Reads the story of an incident out of its events: the stages of its way, the gate's word, sentences for the timeline.
import type { Json, JsonObject, StoredEvent } from "../api/types";
import { t } from "../texts";

export const STAGES = ["opened", "decided", "gated", "acted", "verified", "proved"] as const;
export type Stage = (typeof STAGES)[number];
export type StageState = "done" | "now" | "waiting" | "failed" | "ahead";

export interface StageReport {
  stage: Stage;
  state: StageState;
  at: string | null;
}

const MARKS: Record<string, [Stage, StageState]> = {
  "incident.opened": ["opened", "done"],
  "incident.reopened": ["opened", "done"],
  "plan.proposed": ["decided", "done"],
  "approval.requested": ["gated", "waiting"],
  "plan.approved": ["gated", "done"],
  "plan.rejected": ["gated", "failed"],
  "step.started": ["acted", "now"],
  "step.succeeded": ["acted", "done"],
  "step.failed": ["acted", "failed"],
  "incident.resolved": ["verified", "done"],
  "evidence.sealed": ["proved", "done"],
};

/** The stages of the present round: a reopened incident begins its way again. */
export function stagesOf(events: StoredEvent[]): StageReport[] {
  const reports = new Map<Stage, StageReport>();
  for (const event of events) {
    if (event.type === "incident.reopened") reports.clear();
    const mark = event.type === "incident.escalated" ? handedOver(reports) : markOf(event);
    if (mark === null) continue;
    const [stage, state] = mark;
    reports.set(stage, { stage, state, at: event.occurred_at });
  }
  return STAGES.map((stage) => reports.get(stage) ?? { stage, state: "ahead", at: null });
}

/* A person is asked where the machine got to: before a plan, or because the plan may not go on. */
function handedOver(reports: Map<Stage, StageReport>): [Stage, StageState] | null {
  if (!reports.has("decided")) return ["decided", "waiting"];
  return reports.has("gated") ? null : ["gated", "failed"];
}

function markOf(event: StoredEvent): [Stage, StageState] | null {
  if (event.type.startsWith("step.") && event.data["phase"] === "verify") {
    return ["verified", event.type === "step.started" ? "now" : event.type === "step.failed" ? "failed" : "done"];
  }
  if (event.type === "playbook.completed") {
    const outcome = event.data["outcome"];
    if (outcome === "verified" || outcome === "completed") return ["verified", "done"];
    return ["verified", "failed"];
  }
  return MARKS[event.type] ?? null;
}

const GATE_EVENTS = new Set(["plan.approved", "plan.rejected", "approval.requested", "incident.escalated"]);

/** What became of the last plan that was proposed; null where none was, or nothing has become of it yet. */
export function gateOf(events: StoredEvent[]): StoredEvent | null {
  const proposed = events.findLastIndex((event) => event.type === "plan.proposed");
  if (proposed < 0) return null;
  const first = events.slice(proposed).find((event) => GATE_EVENTS.has(event.type));
  if (first?.type !== "approval.requested") return first ?? null;
  return events.slice(proposed).find((event) => event.type === "plan.approved" || event.type === "plan.rejected") ?? first;
}

export const TIMELINE_KINDS = ["all", "people", "decisions", "steps", "reports"] as const;
export type TimelineKind = (typeof TIMELINE_KINDS)[number];

const REPORTS = new Set(["exception.ingested", "incident.opened", "incident.occurrence_added", "incident.recovery_reported"]);

/** Which sort of news an event is: what people did, what was decided, what was done, what was reported. */
export function kindOfTimeline(event: StoredEvent): TimelineKind {
  if (REPORTS.has(event.type)) return "reports";
  if (event.type.startsWith("step.") || event.type === "playbook.completed" || event.type === "incident.verification_started") return "steps";
  const actor = event.metadata.actor ?? "";
  return actor.startsWith("user:") || actor.startsWith("key:") ? "people" : "decisions";
}

export function sentenceOf(event: StoredEvent): string {
  const known = t.events[event.type as keyof typeof t.events] ?? t.workEvents[event.type];
  if (known === undefined) return event.type;
  return typeof known === "string" ? known : known(event.data);
}

export function asObject(value: Json | undefined): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

export function asText(value: Json | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function asList(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}
