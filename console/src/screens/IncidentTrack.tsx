// The way of one exception at a glance: opened, decided, gate, acted, verified, proved.
import { Skeleton } from "@mantine/core";
import type { IncidentState, StoredEvent } from "../api/types";
import { duration } from "../lib/format";
import { stagesOf, type StageState } from "../lib/story";
import { t } from "../texts";
import { IconCheck, IconClock, IconCross, IconPause } from "../ui/icons";
import classes from "./IncidentPage.module.css";

const ICONS: Partial<Record<StageState, typeof IconCheck>> = { done: IconCheck, now: IconClock, waiting: IconPause, failed: IconCross };

export function IncidentTrack({ events, state }: { events: StoredEvent[] | undefined; state: IncidentState | undefined }) {
  if (events === undefined) return <Skeleton height={62} />;
  const stages = stagesOf(events);
  const start = stages[0]?.at ?? events[0]?.occurred_at ?? null;
  return (
    <ol className={classes["track"]} aria-label={t.incident.way}>
      {stages.map((report) => {
        const Icon = ICONS[report.state];
        const since = report.at === null || start === null ? null : (Date.parse(report.at) - Date.parse(start)) / 1000;
        return (
          <li key={report.stage} className={classes["stage"]} data-state={report.state}>
            <span className={classes["dot"]}>{Icon !== undefined && <Icon width="0.9rem" height="0.9rem" strokeWidth={2.2} />}</span>
            <span className={classes["stageName"]}>{t.incident.stages[report.stage]}</span>
            <span className={classes["stageTime"]}>
              {since === null ? t.incident.stageState[report.state] : report.stage === "opened" ? t.incident.start : `+${duration(Math.max(0, since))}`}
            </span>
          </li>
        );
      })}
      {state === "escalated" && <li className="visually-hidden">{t.incident.escalatedNote}</li>}
    </ol>
  );
}
