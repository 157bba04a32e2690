// Filters survive the way through the address, and nothing unknown comes out of it.
import { describe, expect, it } from "vitest";
import { SEVERITIES, STATES, type Incident } from "../src/api/types";
import { apiQuery, belongs, isFiltered, parseSearch, readFilters, stringifySearch, type IncidentFilters } from "../src/lib/filters";

const incident: Incident = {
  id: "1", number: 1, title: "x", state: "healing", severity: "high", level: "L1", check_type: "disk_space", host: "web-1", site: null,
  platform: null, occurrences: 1, pack_id: null, rule_id: null, opened_at: "2026-11-21T10:00:00Z", last_seen_at: "2026-11-21T10:00:00Z",
  resolved_at: null, closed_at: null, assignee: null, version: 1,
};

describe("filters in the address", () => {
  it("survive the way there and back", () => {
    const all: IncidentFilters[] = [
      {},
      { state: ["open"] },
      { state: [...STATES], severity: [...SEVERITIES], level: ["L1", "L3"] },
      { q: 'disk "is full" -web & more=1 + ü' },
      { check_type: "ssh/root:login.x", host: "a b" },
    ];
    for (const filters of all) {
      expect(readFilters(parseSearch(stringifySearch({ ...filters })))).toEqual(filters);
    }
  });

  it("are readable and can be written by hand", () => {
    expect(stringifySearch({ state: ["open", "healing"], q: "disk" })).toBe("?state=open&state=healing&q=disk");
    expect(readFilters(parseSearch("?state=healing,open&severity=high"))).toEqual({ state: ["open", "healing"], severity: ["high"] });
    expect(stringifySearch({})).toBe("");
  });

  it("drop what is not known", () => {
    expect(readFilters(parseSearch("?state=exploded&severity=&level=L9&x=1&q=%20&host="))).toEqual({});
    expect(readFilters({ state: 7, q: { a: 1 }, host: ["a", "b"] })).toEqual({});
    expect(readFilters({ q: "x".repeat(900) }).q).toHaveLength(200);
  });

  it("reach the API as repeated parameters", () => {
    expect(apiQuery({ state: ["open", "healing"], severity: ["high"], q: "a b" }).toString()).toBe("state=open&state=healing&severity=high&q=a+b");
  });

  it("know whether they filter", () => {
    expect(isFiltered({})).toBe(false);
    expect(isFiltered({ host: "web-1" })).toBe(true);
  });
});

describe("belongs", () => {
  it("says whether a live incident fits the list", () => {
    expect(belongs(incident, {})).toBe(true);
    expect(belongs(incident, { state: ["healing", "open"], severity: ["high"], level: ["L1"], check_type: "disk_space", host: "web-1" })).toBe(true);
    expect(belongs(incident, { state: ["open"] })).toBe(false);
    expect(belongs(incident, { severity: ["low"] })).toBe(false);
    expect(belongs({ ...incident, level: null }, { level: ["L1"] })).toBe(false);
    expect(belongs(incident, { check_type: "disk" })).toBe(false);
    expect(belongs(incident, { host: "web-2" })).toBe(false);
  });

  it("leaves the full-text search to the platform", () => {
    expect(belongs(incident, { q: "disk" })).toBeNull();
    expect(belongs(incident, { q: "disk", state: ["open"] })).toBe(false);
  });
});
