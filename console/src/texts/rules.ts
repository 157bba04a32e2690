// Rules.
import { plural } from "./words";

export const rulesTexts = {
  rules: {
    search: "Search the rules",
    none: "There are no rules",
    noneFound: "No rule fits the search",
    noneText: "Rules come with packs. `fettle packs install` adds one, and `fettle packs activate` puts it to work for a tenant.",
    count: (n: string, more: boolean) => `${n} rules${more ? ", more coming" : ""}`,
    order: "in the order in which they win",
    priority: "Priority",
    rule: "Rule",
    action: "Action",
    source: "Source",
    enabled: "Enabled",
    conditions: "Conditions",
    limits: (attempts: number, cooldownSeconds: number) => `at most ${plural(attempts, "attempt", "attempts")}, rests ${plural(cooldownSeconds, "second", "seconds")} between`,
    dryRun: "Try it on the last 30 days",
    dryRunResult: (matched: number, considered: number, won: number) =>
      `Its conditions hold for ${matched.toLocaleString()} of ${plural(considered, "incident", "incidents")}; it would decide ${won.toLocaleString()}.`,
    truncated: "There are more incidents than were looked at.",
    on: "on",
    off: "off",
  },
};
