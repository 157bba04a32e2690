// The list of incidents at work: windowing, choosing, filters of the address, what a live incident belongs to.
import { describe, expect, it } from "vitest";
import type { Incident } from "../src/api/types";
import { apiQuery, belongs, readFilters, sameFilters } from "../src/lib/filters";
import { offsetFor, stretchOf } from "../src/lib/fixedRows";
import { everyLoaded, extended, isEmpty, NOTHING, toggled } from "../src/lib/selection";

describe("windowing", () => {
  it("shows what is seen and some around it, at both ends of a hundred thousand rows", () => {
    expect(stretchOf(0, 880, 44, 100_000, 10)).toEqual({ first: 0, end: 30 });
    expect(stretchOf(44 * 50_000, 880, 44, 100_000, 10)).toEqual({ first: 49_990, end: 50_030 });
    expect(stretchOf(44 * 100_000 - 880, 880, 44, 100_000, 10)).toEqual({ first: 99_970, end: 100_000 });
  });
  it("never names rows that are not there", () => {
    expect(stretchOf(9_999_999, 880, 44, 3, 10)).toEqual({ first: 0, end: 3 });
    expect(stretchOf(0, 880, 44, 0, 10)).toEqual({ first: 0, end: 0 });
  });
  it("scrolls only as far as a row needs", () => {
    expect(offsetFor(5, 0, 880, 44)).toBe(0);
    expect(offsetFor(20, 0, 880, 44)).toBe(44);
    expect(offsetFor(0, 440, 880, 44)).toBe(0);
  });
});

describe("choosing", () => {
  const shown = ["a", "b", "c", "d", "e"];
  it("goes one by one and by range, in either direction", () => {
    const one = toggled(NOTHING, "b");
    expect([...extended(one, "d", shown).ids]).toEqual(["b", "c", "d"]);
    expect([...extended(one, "a", shown).ids].sort()).toEqual(["a", "b"]);
    expect(isEmpty(toggled(one, "b"))).toBe(true);
  });
  it("takes a single row where there is nothing to go from", () => {
    expect([...extended(NOTHING, "c", shown).ids]).toEqual(["c"]);
    expect([...extended(toggled(NOTHING, "gone"), "c", shown).ids].sort()).toEqual(["c", "gone"]);
  });
  it("leaves all behind as soon as one is taken out", () => {
    const all = { ...everyLoaded(shown), all: true };
    expect(toggled(all, "a")).toMatchObject({ all: false });
    expect(toggled(all, "a").ids.size).toBe(4);
  });
});

describe("filters of the address", () => {
  it("keeps what is known and drops the rest", () => {
    const filters = readFilters({
      assignee: "me", needs_me: "true", sort: "severity", label: ["room=west", "nothing", "=empty"], opened_after: "2026-11-01T00:00:00Z",
      opened_before: "yesterday", site: " main ", rule_id: "L1-A", colour: "red",
    });
    expect(filters).toEqual({
      assignee: "me", needs_me: true, sort: "severity", label: ["room=west"], opened_after: "2026-11-01T00:00:00Z", site: "main", rule_id: "L1-A",
    });
    expect(readFilters({ assignee: "everybody", sort: "title", needs_me: "1" })).toEqual({});
  });
  it("reads back what it wrote", () => {
    const filters = readFilters({ state: ["open", "escalated"], label: ["a=b=c", "d=e"], assignee: "none", q: "x y", sort: "seen", needs_me: true });
    const again: Record<string, unknown> = {};
    for (const name of new Set(apiQuery(filters).keys())) {
      const values = apiQuery(filters).getAll(name);
      again[name] = values.length > 1 ? values : values[0];
    }
    expect(sameFilters(readFilters(again), filters)).toBe(true);
  });
  it("says of a live incident whether it belongs, and when only the platform knows", () => {
    const incident = { state: "open", severity: "high", level: null, check_type: "disk", host: "h", site: null, rule_id: null, assignee: null, opened_at: "2026-11-02T00:00:00Z" } as Incident;
    expect(belongs(incident, { assignee: "none" })).toBe(true);
    expect(belongs(incident, { assignee: "anyone" })).toBe(false);
    expect(belongs(incident, { assignee: "me" })).toBe(null);
    expect(belongs(incident, { label: ["a=b"] })).toBe(null);
    expect(belongs(incident, { site: "main" })).toBe(false);
    expect(belongs(incident, { opened_after: "2026-11-03T00:00:00Z" })).toBe(false);
  });
});
