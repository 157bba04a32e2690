// Everything that happened to an incident, as it happens, each event with who, when and its data.
import { Button } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import type { StoredEvent } from "../api/types";
import { kindOfTimeline, sentenceOf, TIMELINE_KINDS, type TimelineKind } from "../lib/story";
import { t } from "../texts";
import { ClockTime, Empty, JsonView, Lines, Panel, Trouble } from "../ui/parts";
import work from "./incidents/work.module.css";
import classes from "./IncidentPage.module.css";

const KINDS: Record<string, string> = {
  "incident.resolved": "good", "step.succeeded": "good", "evidence.sealed": "good", "plan.approved": "good",
  "step.failed": "bad", "plan.rejected": "bad",
  "incident.escalated": "wait", "approval.requested": "wait",
  "plan.proposed": "act", "step.started": "act", "incident.opened": "act",
};

interface TimelineProps {
  timeline: UseQueryResult<{ events: StoredEvent[]; complete: boolean }>;
}

export function IncidentTimeline({ timeline }: TimelineProps) {
  const { data, error, refetch } = timeline;
  const [newestFirst, setNewestFirst] = useState(true);
  const [kind, setKind] = useState<TimelineKind>("all");
  const shown = data?.events.filter((event) => kind === "all" || kindOfTimeline(event) === kind) ?? [];
  return (
    <Panel
      title={t.incident.timeline} className={classes["side"]}
      aside={
        data !== undefined && data.events.length > 1 && (
          <Button size="compact-xs" variant="subtle" color="gray" onClick={() => setNewestFirst(!newestFirst)}>
            {t.incident.order(data.events.length, data.complete, newestFirst)}
          </Button>
        )
      }
    >
      {data === undefined && error !== null && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Lines rows={8} />}
      {data !== undefined && data.events.length > 1 && (
        <div className={`${work["kinds"] ?? ""} no-print`} role="group" aria-label={t.work.kinds.label}>
          {TIMELINE_KINDS.map((one) => (
            <button key={one} type="button" aria-pressed={one === kind} onClick={() => setKind(one)}>{t.work.kinds[one]}</button>
          ))}
        </div>
      )}
      {data !== undefined && shown.length === 0 && <Empty title={t.incident.noEvents} />}
      {data !== undefined && (
        <ol className={classes["events"]} reversed={newestFirst}>
          {(newestFirst ? shown.toReversed() : shown).map((event) => <Entry key={event.id} event={event} />)}
        </ol>
      )}
    </Panel>
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
