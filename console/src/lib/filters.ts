// The incident filters as they stand in the address, and as the API wants them.
import { LEVELS, SEVERITIES, STATES, type Incident, type IncidentState, type Level, type Severity } from "../api/types";

export interface IncidentFilters {
  state?: IncidentState[];
  severity?: Severity[];
  level?: Level[];
  check_type?: string;
  host?: string;
  q?: string;
}

type Search = Record<string, unknown>;

/** Reads filters out of an address; what is unknown there is dropped, never sent on. */
export function readFilters(search: Search): IncidentFilters {
  const filters: IncidentFilters = {};
  const state = known(search["state"], STATES);
  const severity = known(search["severity"], SEVERITIES);
  const level = known(search["level"], LEVELS);
  if (state.length > 0) filters.state = state;
  if (severity.length > 0) filters.severity = severity;
  if (level.length > 0) filters.level = level;
  for (const name of ["check_type", "host", "q"] as const) {
    const value = text(search[name]);
    if (value !== "") filters[name] = value;
  }
  return filters;
}

export function apiQuery(filters: IncidentFilters): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of ["state", "severity", "level"] as const) {
    for (const value of filters[name] ?? []) query.append(name, value);
  }
  for (const name of ["check_type", "host", "q"] as const) {
    const value = filters[name];
    if (value !== undefined) query.set(name, value);
  }
  return query;
}

export function isFiltered(filters: IncidentFilters): boolean {
  return Object.keys(filters).length > 0;
}

/** Whether a live incident belongs in a list with these filters; null where only the platform can tell. */
export function belongs(incident: Incident, filters: IncidentFilters): boolean | null {
  if (filters.state !== undefined && !filters.state.includes(incident.state)) return false;
  if (filters.severity !== undefined && !filters.severity.includes(incident.severity)) return false;
  if (filters.level !== undefined && (incident.level === null || !filters.level.includes(incident.level))) return false;
  if (filters.check_type !== undefined && incident.check_type !== filters.check_type) return false;
  if (filters.host !== undefined && incident.host !== filters.host) return false;
  return filters.q === undefined ? true : null;
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

function known<Value extends string>(given: unknown, values: readonly Value[]): Value[] {
  const asked = (Array.isArray(given) ? given : [given]).flatMap((one) => String(one ?? "").split(","));
  return values.filter((value) => asked.includes(value));
}

function text(given: unknown): string {
  return typeof given === "string" ? given.trim().slice(0, 200) : "";
}
