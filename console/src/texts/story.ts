// What each stored event means, as a sentence of a timeline.
import type { JsonObject } from "../api/types";
import { after, text } from "./words";

export const storyTexts = {
  events: {
    "exception.ingested": "An exception was reported",
    "incident.opened": "The incident opened",
    "incident.occurrence_added": "It happened again",
    "incident.reopened": (data: JsonObject) => `Reopened${after(": ", data["reason"])}`,
    "incident.triaged": (data: JsonObject) => `Triaged as ${text(data["severity"])}`,
    "incident.suppressed": (data: JsonObject) => `Suppressed${after(": ", data["reason"])}`,
    "incident.recovery_reported": "Its source says that it is over",
    "incident.resolved": (data: JsonObject) => `Resolved${after(": ", data["resolution"] ?? data["reason"])}`,
    "incident.escalated": (data: JsonObject) => `Handed to a person${after(": ", data["detail"] ?? data["reason"])}`,
    "incident.closed": (data: JsonObject) => `Closed${after(": ", data["resolution"] ?? data["reason"])}`,
    "incident.verification_started": "Verification began",
    "incident.evidence_sealed": "The incident has its evidence",
    "plan.proposed": (data: JsonObject) => `${text(data["level"]) || "A level"} proposed a plan${after(" by rule ", data["rule_id"])}`,
    "plan.approved": (data: JsonObject) => `The plan may go on${data["approved_by"] === "policy" ? " by policy" : after(", approved by ", data["approved_by"])}`,
    "plan.rejected": (data: JsonObject) => `The plan was rejected${after(": ", data["reason"])}`,
    "approval.requested": (data: JsonObject) => `A person is asked to approve${after(": ", data["reason"])}`,
    "approval.decided": (data: JsonObject) => `A step was ${data["decision"] === "rejected" || data["approved"] === false ? "rejected" : "approved"}${after(": ", data["reason"])}`,
    "approval.given": (data: JsonObject) => `One of two people approved${after(": ", data["reason"])}`,
    "run.held": (data: JsonObject) => `The playbook is held${after(": ", data["detail"])}${after(" Looked at again at ", data["until"])}`,
    "run.released": "The playbook is held no longer",
    "run.braked": (data: JsonObject) => `The playbook was stopped${after(" by ", data["by"])}${after(": ", data["reason"])}`,
    "step.started": (data: JsonObject) => `Step ${stepName(data)} began`,
    "step.succeeded": (data: JsonObject) => `Step ${stepName(data)} succeeded`,
    "step.failed": (data: JsonObject) => `Step ${stepName(data)} failed`,
    "playbook.completed": (data: JsonObject) => `The playbook ended: ${text(data["outcome"]).replaceAll("_", " ")}${after(", ", data["reason"])}`,
    "rule.proposed": (data: JsonObject) => `The rule ${text(data["rule_id"])} is proposed: it grew from what healed`,
    "rule.promoted": (data: JsonObject) => `The rule ${text(data["rule_id"])} went on to ${text(data["stage"])}${after(": ", data["reason"])}`,
    "rule.shadowed": (data: JsonObject) => `In shadow, the rule ${text(data["rule_id"])} would have acted: ${SHADOWED[text(data["verdict"])] ?? "nobody can say how that would have ended"}`,
    "rule.retired": (data: JsonObject) => `The rule ${text(data["rule_id"])} retired${after(": ", data["reason"])}`,
    "evidence.sealed": (data: JsonObject) => `Evidence sealed${typeof data["sequence"] === "number" ? ` as number ${data["sequence"]} of the chain` : ""}`,
  } as Record<string, string | ((data: JsonObject) => string)>,
};

const SHADOWED: Record<string, string> = {
  right: "the same was done, and healed", wrong: "the same was done, and did not heal", other: "something else healed",
};

function stepName(data: JsonObject): string {
  const name = text(data["title"]) || text(data["path"]) || text(data["step_id"]) || text(data["step"]);
  const tool = text(data["tool"]);
  if (name === "") return tool;
  return tool === "" || name === tool ? `“${name}”` : `“${name}” (${tool})`;
}
