// Severity, state and level as one sees them everywhere: a shape, a word and a colour, never colour alone.
import type { ReactNode } from "react";
import type { IncidentState, Level, Severity } from "../api/types";
import { t } from "../texts";
import { IconCheck, IconClock, IconGate, IconLoop, IconMute, IconPause, IconPerson, IconPlay, IconSpark } from "./icons";
import classes from "./marks.module.css";

const SHAPES: Record<Severity, ReactNode> = {
  critical: <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" fill="currentColor" />,
  high: <path d="M8 1.5 15.2 14H.8z" fill="currentColor" />,
  medium: <path d="M8 1l7 7-7 7-7-7z" fill="currentColor" />,
  low: <circle cx="8" cy="8" r="5.2" fill="currentColor" />,
  info: <circle cx="8" cy="8" r="4.6" fill="none" stroke="currentColor" strokeWidth="2" />,
};

export function SeverityShape({ severity }: { severity: Severity }) {
  return (
    <svg viewBox="0 0 16 16" className={classes["shape"]} data-severity={severity} aria-hidden="true" focusable="false">
      {SHAPES[severity]}
    </svg>
  );
}

export function SeverityMark({ severity }: { severity: Severity }) {
  return (
    <span className={classes["severity"]} data-severity={severity}>
      <SeverityShape severity={severity} />
      {t.severity[severity]}
    </span>
  );
}

const STATE_ICONS: Record<IncidentState, typeof IconCheck> = {
  open: IconSpark,
  triaged: IconSpark,
  planning: IconClock,
  awaiting_approval: IconPause,
  healing: IconPlay,
  verifying: IconLoop,
  escalated: IconPerson,
  suppressed: IconMute,
  resolved: IconCheck,
  closed: IconGate,
};

const STATE_TONES: Record<IncidentState, string> = {
  open: "plain",
  triaged: "plain",
  planning: "moving",
  awaiting_approval: "waiting",
  healing: "moving",
  verifying: "moving",
  escalated: "person",
  suppressed: "quiet",
  resolved: "good",
  closed: "quiet",
};

export function StateMark({ state }: { state: IncidentState }) {
  const Icon = STATE_ICONS[state];
  return (
    <span className={classes["state"]} data-tone={STATE_TONES[state]}>
      <Icon width="0.875rem" height="0.875rem" />
      {t.state[state]}
    </span>
  );
}

export function LevelMark({ level }: { level: Level | null }) {
  if (level === null) return <span className={classes["none"]} aria-label={t.level.none}>–</span>;
  return (
    <span className={classes["level"]} title={t.level[level]}>
      {level}
    </span>
  );
}

export function Tag({ tone, children }: { tone: "plain" | "good" | "waiting" | "person" | "moving" | "quiet"; children: ReactNode }) {
  return (
    <span className={classes["state"]} data-tone={tone}>
      {children}
    </span>
  );
}
