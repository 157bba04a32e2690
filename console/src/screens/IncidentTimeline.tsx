// Everything that happened to an incident, oldest first, each event with who, when and its data.
import { useState } from "react";
import type { StoredEvent } from "../api/types";
import { sentenceOf } from "../lib/story";
import { t } from "../texts";
import { ClockTime, JsonView } from "../ui/parts";
import classes from "./IncidentPage.module.css";

const KINDS: Record<string, string> = {
  "incident.resolved": "good", "step.succeeded": "good", "evidence.sealed": "good", "plan.approved": "good",
  "step.failed": "bad", "plan.rejected": "bad",
  "incident.escalated": "wait", "approval.requested": "wait",
  "plan.proposed": "act", "step.started": "act", "incident.opened": "act",
};

export function IncidentTimeline({ events }: { events: StoredEvent[] }) {
  return (
    <ol className={classes["events"]}>
      {events.map((event) => <Entry key={event.id} event={event} />)}
    </ol>
  );
}

function Entry({ event }: { event: StoredEvent }) {
  const [open, setOpen] = useState(false);
  return (
    <li className={classes["event"]} data-kind={kindOf(event)}>
      <div className={classes["eventHead"]}>
        <span className={classes["eventText"]}>{sentenceOf(event)}</span>
        <span className={classes["eventTime"]}><ClockTime at={event.occurred_at} /></span>
      </div>
      <details onToggle={(toggle) => setOpen(toggle.currentTarget.open)}>
        <summary className={classes["eventMeta"]} title={t.incident.data}>
          {event.type} · {t.incident.by(event.metadata.actor ?? "–")}
        </summary>
        {open && <JsonView value={event.data} label={event.type} />}
      </details>
    </li>
  );
}

function kindOf(event: StoredEvent): string | undefined {
  if (event.type === "playbook.completed") return ["verified", "completed"].includes(String(event.data["outcome"])) ? "good" : "bad";
  return KINDS[event.type];
}
