// Live changes patch the rows that are loaded, and touch no page that does not hold them.
import { describe, expect, it } from "vitest";
import type { Incident } from "../src/api/types";
import { patch } from "../src/screens/useIncidentList";

const incident = (id: string, version = 1, state: Incident["state"] = "open"): Incident => ({
  id, number: Number(id), title: id, state, severity: "low", level: null, check_type: "c", host: null, site: null, platform: null,
  occurrences: 1, pack_id: null, rule_id: null, opened_at: "2026-11-21T10:00:00Z", last_seen_at: "2026-11-21T10:00:00Z", resolved_at: null,
  closed_at: null, assignee: null, version,
});

const loaded = () => ({
  pages: [
    { items: [incident("4"), incident("3")], next_cursor: "a" },
    { items: [incident("2"), incident("1", 5)], next_cursor: null },
  ],
  pageParams: [null, "a"],
});

describe("patch", () => {
  it("changes rows in place and keeps every other page as it is", () => {
    const before = loaded();
    const { pages, unknown } = patch(before, new Map([["2", incident("2", 2, "resolved")]]));
    expect(pages.pages[1]!.items.map((item) => [item.id, item.state])).toEqual([["2", "resolved"], ["1", "open"]]);
    expect(pages.pages[0]).toBe(before.pages[0]);
    expect(unknown).toEqual([]);
  });

  it("keeps what it has where a message is older", () => {
    const { pages } = patch(loaded(), new Map([["1", incident("1", 4, "closed")]]));
    expect(pages.pages[1]!.items[1]!.state).toBe("open");
  });

  it("names what no page holds and changes nothing for it", () => {
    const before = loaded();
    const { pages, unknown } = patch(before, new Map([["9", incident("9")]]));
    expect(pages).toBe(before);
    expect(unknown.map((item) => item.id)).toEqual(["9"]);
  });
});
