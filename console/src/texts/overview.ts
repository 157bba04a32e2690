// The overview, and what it says while nothing has happened yet.
import type { Level } from "../api/types";
import { count } from "../lib/format";
import { plural } from "./words";

export const overviewTexts = {
  overview: {
    attention: "Needs you now",
    attentionAll: "See all",
    calm: "Nothing needs you",
    calmText: "Incidents that wait for an approval or for a person appear here as they happen.",
    openBySeverity: "Open by severity",
    open: (n: string) => `${n} open`,
    levels: "Who decided",
    lastDays: "last 30 days",
    noLevels: "Nothing was decided in the last 30 days.",
    levelName: { L1: "by rule", L2: "by planner", L3: "by a person" } satisfies Record<Level, string>,
    target: (low: number, high: number, share: number) => {
      const band = `target ${Math.round(low * 100)}–${Math.round(high * 100)} %`;
      if (share < low) return `below the ${band}`;
      if (share > high) return `above the ${band}`;
      return `on the ${band}`;
    },
    perHour: "Opened and resolved per hour",
    opened: "Opened",
    resolved: "Resolved",
    hour: "Hour",
    healTime: "Median time to heal",
    healTimeHelp: "opened to resolved, by rule, 30 days",
    alone: "Decided without a person",
    aloneHelp: "decided at L1 or L2, 30 days",
    noise: "Noise removed",
    noiseHelp: "exceptions that opened nothing new, 24 h",
    saved: "Hours saved",
    savedHelp: (n: number, minutes: number) => `${plural(n, "incident", "incidents")} at ${minutes} min each, 30 days`,
    hours: (hours: number) => (hours >= 100 ? count(Math.round(hours)) : count(Math.round(hours * 10) / 10)),
    tenants: "Your tenants, beside each other",
    tenantsHelp: "the neediest first",
    tenant: "Tenant",
    waiting: "Waits for a person",
    nothingWaits: "nothing",
    nothingOpen: "nothing open",
    exceptions: "Exceptions, 24 h",
    day: "Exceptions → incidents",
    dayHelp: "in the last 24 hours",
    dayValue: (exceptions: string, incidents: string) => `${exceptions} → ${incidents}`,
  },

  firstSteps: {
    title: "Nothing is out of order, and nothing reports yet",
    lead: "Fettle waits for exceptions. Two ways to see one heal, live, on this page:",
    demoTitle: "Watch this machine",
    demo: "In a second terminal. It runs real, read-only checks, breaks a sandbox folder of its own and lets Fettle mend it.",
    apiTitle: "Report something through the API",
    api: "With an API key that has the scope exceptions:write.",
    makeKey: "Make one",
    then: "The incident appears here and under Incidents as soon as it is accepted.",
  },
};
