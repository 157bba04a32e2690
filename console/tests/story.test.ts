// The way of an incident, read out of its events.
import { describe, expect, it } from "vitest";
import type { JsonObject, StoredEvent } from "../src/api/types";
import { gateOf, sentenceOf, stagesOf } from "../src/lib/story";

let position = 0;
const event = (type: string, data: JsonObject = {}): StoredEvent => {
  position += 1;
  return {
    id: String(position), stream: { type: "incident", id: "i" }, version: position, type, data, metadata: { actor: "system:healing" },
    occurred_at: new Date(1_700_000_000_000 + position).toISOString(), position,
  };
};
const states = (events: StoredEvent[]) => stagesOf(events).map((report) => report.state).join(" ");

describe("stagesOf", () => {
  it("follows an incident that heals", () => {
    const events = [event("exception.ingested"), event("incident.opened")];
    expect(states(events)).toBe("done ahead ahead ahead ahead ahead");
    events.push(event("incident.triaged"), event("plan.proposed"), event("plan.approved"), event("step.started", { phase: "act" }));
    expect(states(events)).toBe("done done done now ahead ahead");
    events.push(event("step.succeeded", { phase: "act" }), event("step.started", { phase: "verify" }));
    expect(states(events)).toBe("done done done done now ahead");
    events.push(event("step.succeeded", { phase: "verify" }), event("playbook.completed", { outcome: "verified" }), event("evidence.sealed"));
    expect(states(events)).toBe("done done done done done done");
  });

  it("shows where it waits and where it failed", () => {
    expect(states([event("incident.opened"), event("plan.proposed"), event("approval.requested")])).toBe("done done waiting ahead ahead ahead");
    expect(states([event("incident.opened"), event("plan.proposed"), event("plan.rejected")])).toBe("done done failed ahead ahead ahead");
    expect(states([event("incident.opened"), event("step.failed", { phase: "act" }), event("playbook.completed", { outcome: "rolled_back" })])).toBe(
      "done ahead ahead failed failed ahead",
    );
  });

  it("shows where a person is asked", () => {
    expect(states([event("incident.opened"), event("incident.escalated")])).toBe("done waiting ahead ahead ahead ahead");
    expect(states([event("incident.opened"), event("plan.proposed"), event("incident.escalated")])).toBe("done done failed ahead ahead ahead");
    expect(states([event("incident.opened"), event("plan.proposed"), event("plan.approved"), event("incident.escalated")])).toBe(
      "done done done ahead ahead ahead",
    );
  });

  it("begins again when the incident is reopened", () => {
    expect(states([event("incident.opened"), event("plan.proposed"), event("incident.resolved"), event("incident.reopened")])).toBe(
      "done ahead ahead ahead ahead ahead",
    );
  });
});

describe("gateOf", () => {
  it("is what became of the last plan", () => {
    expect(gateOf([event("incident.opened")])).toBeNull();
    expect(gateOf([event("plan.proposed")])).toBeNull();
    expect(gateOf([event("plan.proposed"), event("plan.approved")])?.type).toBe("plan.approved");
    expect(gateOf([event("plan.proposed"), event("approval.requested")])?.type).toBe("approval.requested");
    expect(gateOf([event("plan.proposed"), event("approval.requested"), event("plan.rejected")])?.type).toBe("plan.rejected");
    expect(gateOf([event("plan.proposed"), event("plan.approved"), event("plan.proposed"), event("incident.escalated")])?.type).toBe(
      "incident.escalated",
    );
  });

  it("is not an escalation that came long after the plan went on", () => {
    expect(gateOf([event("plan.proposed"), event("plan.approved"), event("incident.escalated")])?.type).toBe("plan.approved");
  });
});

describe("sentenceOf", () => {
  it("tells what happened, and names an event that it does not know", () => {
    expect(sentenceOf(event("incident.triaged", { severity: "high" }))).toBe("Triaged as high");
    expect(sentenceOf(event("step.failed", { title: "Set the mode", tool: "runbook.run" }))).toBe("Step “Set the mode” (runbook.run) failed");
    expect(sentenceOf(event("order.issued"))).toBe("order.issued");
  });
});
