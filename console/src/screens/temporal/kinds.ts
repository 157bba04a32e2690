// What each kind of rule over time says, and what becomes of a rule when it is made one of another kind.
import type { TemporalRule } from "../../api/temporal";
import type { Json, JsonObject } from "../../api/types";

export type Kind = TemporalRule["kind"];

export const KINDS = ["count", "sequence", "missing", "absence", "once", "accumulate"] as const satisfies readonly Kind[];

/** What a rule of the kind cannot do without. */
export const NEEDS: Record<Kind, readonly string[]> = {
  count: ["conditions", "times", "within_seconds"],
  sequence: ["steps", "within_seconds"],
  missing: ["conditions", "awaits", "within_seconds"],
  absence: ["conditions", "within_seconds"],
  once: ["conditions", "within_seconds"],
  accumulate: ["conditions", "field", "threshold"],
};

/** What it may say besides. */
export const MAY: Record<Kind, readonly string[]> = {
  count: ["quiet_seconds"],
  sequence: ["quiet_seconds"],
  missing: ["quiet_seconds", "late_seconds"],
  absence: ["late_seconds", "expected"],
  once: [],
  accumulate: ["within_seconds", "quiet_seconds"],
};

export const NEW_CONDITION: JsonObject = { field: "check_type", operator: "eq", value: "" };

export const FRESH: JsonObject = {
  id: "", title: "", kind: "count", by: ["host"], conditions: [NEW_CONDITION], times: 3, within_seconds: 600, raises: { check_type: "", severity: "high" },
};

const OF_KINDS = new Set([...Object.values(NEEDS), ...Object.values(MAY)].flat());

export function kindOf(rule: JsonObject): Kind {
  return KINDS.find((one) => one === rule["kind"]) ?? "count";
}

export function says(kind: Kind, name: string): boolean {
  return NEEDS[kind].includes(name) || MAY[kind].includes(name);
}

/** The rule as one of another kind: without what that cannot say, with what it needs, as it was said before where it was. */
export function ofKind(rule: JsonObject, kind: Kind, before: JsonObject): JsonObject {
  const kept = Object.entries(rule).filter(([name]) => !OF_KINDS.has(name) || says(kind, name));
  const made: JsonObject = { ...Object.fromEntries(kept), kind };
  for (const name of NEEDS[kind]) made[name] ??= before[name] ?? beginning(name, rule);
  for (const name of MAY[kind]) {
    const said = before[name];
    if (made[name] === undefined && said !== undefined) made[name] = said;
  }
  return made;
}

function beginning(name: string, rule: JsonObject): Json {
  switch (name) {
    case "times": return 3;
    case "within_seconds": return 600;
    case "field": return "";
    case "threshold": return 1;
    case "steps": return [{ conditions: rule["conditions"] ?? [NEW_CONDITION] }, { conditions: [NEW_CONDITION] }];
    default: return [NEW_CONDITION];
  }
}
