// The incident filters as they stand in the address, and as the API wants them.
import { LEVELS, SEVERITIES, STATES, type Incident, type IncidentState, type Level, type Severity } from "../api/types";

export const SORTS = ["opened", "seen", "severity"] as const;
export type Sort = (typeof SORTS)[number];

export interface IncidentFilters {
  state?: IncidentState[];
  severity?: Severity[];
  level?: Level[];
  check_type?: string;
  host?: string;
  site?: string;
  rule_id?: string;
  label?: string[];
  /** A person's id, or one of: me, none, anyone. */
  assignee?: string;
  needs_me?: true;
  q?: string;
  opened_after?: string;
  opened_before?: string;
  /** Newest opened first where nothing is said. */
  sort?: Exclude<Sort, "opened">;
}

type Search = Record<string, unknown>;

const LISTS = ["state", "severity", "level"] as const;
const TEXTS = ["check_type", "host", "site", "rule_id", "q"] as const;
const MOMENTS = ["opened_after", "opened_before"] as const;
const ASSIGNEE = /^(me|none|anyone|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Reads filters out of an address; what is unknown there is dropped, never sent on. */
export function readFilters(search: Search): IncidentFilters {
  const filters: IncidentFilters = {};
  const state = known(search["state"], STATES);
  const severity = known(search["severity"], SEVERITIES);
  const level = known(search["level"], LEVELS);
  if (state.length > 0) filters.state = state;
  if (severity.length > 0) filters.severity = severity;
  if (level.length > 0) filters.level = level;
  for (const name of TEXTS) {
    const value = text(search[name]);
    if (value !== "") filters[name] = value;
  }
  const labels = many(search["label"]).filter((label) => label.indexOf("=") > 0).slice(0, 10);
  if (labels.length > 0) filters.label = labels;
  const assignee = text(search["assignee"]);
  if (ASSIGNEE.test(assignee)) filters.assignee = assignee;
  if (search["needs_me"] === true || search["needs_me"] === "true") filters.needs_me = true;
  for (const name of MOMENTS) {
    const moment = text(search[name]);
    if (moment !== "" && !Number.isNaN(Date.parse(moment))) filters[name] = moment;
  }
  const sort = text(search["sort"]);
  if (sort === "seen" || sort === "severity") filters.sort = sort;
  return filters;
}

export function apiQuery(filters: IncidentFilters): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of [...LISTS, "label"] as const) {
    for (const value of filters[name] ?? []) query.append(name, value);
  }
  for (const name of [...TEXTS, "assignee", ...MOMENTS, "sort"] as const) {
    const value = filters[name];
    if (value !== undefined) query.set(name, value);
  }
  if (filters.needs_me === true) query.set("needs_me", "true");
  return query;
}

/** Whether two filters let the same through, in the same order. */
export function sameFilters(one: IncidentFilters, other: IncidentFilters): boolean {
  return apiQuery(one).toString() === apiQuery(other).toString();
}

export function isFiltered(filters: IncidentFilters): boolean {
  return Object.keys(filters).some((name) => name !== "sort");
}

/** Whether a live incident belongs in a list with these filters; null where only the platform can tell. */
export function belongs(incident: Incident, filters: IncidentFilters): boolean | null {
  if (filters.state !== undefined && !filters.state.includes(incident.state)) return false;
  if (filters.severity !== undefined && !filters.severity.includes(incident.severity)) return false;
  if (filters.level !== undefined && (incident.level === null || !filters.level.includes(incident.level))) return false;
  for (const name of ["check_type", "host", "site", "rule_id"] as const) {
    if (filters[name] !== undefined && incident[name] !== filters[name]) return false;
  }
  if (filters.assignee === "none" && incident.assignee !== null) return false;
  if (filters.assignee === "anyone" && incident.assignee === null) return false;
  if (filters.assignee?.includes("-") === true && incident.assignee !== filters.assignee) return false;
  if (filters.opened_after !== undefined && Date.parse(incident.opened_at) < Date.parse(filters.opened_after)) return false;
  if (filters.opened_before !== undefined && Date.parse(incident.opened_at) >= Date.parse(filters.opened_before)) return false;
  const unknown = filters.q !== undefined || filters.label !== undefined || filters.assignee === "me" || filters.needs_me === true;
  return unknown ? null : true;
}

/** Address parameters without the JSON quoting that the router would use: ?state=open&state=healing. */
export function parseSearch(address: string): Search {
  const search: Search = {};
  for (const [name, value] of new URLSearchParams(address)) {
    const before = search[name];
    if (before === undefined) search[name] = value;
    else search[name] = Array.isArray(before) ? [...(before as string[]), value] : [before as string, value];
  }
  return search;
}

export function stringifySearch(search: Search): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(name, String(one));
    }
  }
  const address = query.toString();
  return address === "" ? "" : `?${address}`;
}

function many(given: unknown): string[] {
  return (Array.isArray(given) ? (given as unknown[]) : [given]).map(text).filter((one) => one !== "");
}

function known<Value extends string>(given: unknown, values: readonly Value[]): Value[] {
  const asked = (Array.isArray(given) ? given : [given]).flatMap((one) => String(one ?? "").split(","));
  return values.filter((value) => asked.includes(value));
}

function text(given: unknown): string {
  return typeof given === "string" ? given.trim().slice(0, 200) : "";
}
