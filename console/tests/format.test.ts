// Figures as people read them.
import { describe, expect, it } from "vitest";
import { ago, duration, percent, timeZoneLabel, words } from "../src/lib/format";

describe("duration", () => {
  it.each([
    [0, "0 ms"], [0.0034, "3 ms"], [0.9994, "999 ms"], [0.9996, "1.0 s"], [3.42, "3.4 s"], [9.96, "10 s"], [59.4, "59 s"], [59.6, "1 min"],
    [185, "3 min 5 s"], [3599.6, "1 h"], [7800, "2 h 10 min"], [86_399, "1 d"], [273_600, "3 d 4 h"], [-1, "–"], [Number.NaN, "–"],
  ])("%d seconds are %s", (seconds, shown) => {
    expect(duration(seconds)).toBe(shown);
  });
});

describe("ago", () => {
  const now = Date.parse("2026-11-21T12:00:00Z");
  it.each([
    ["2026-11-21T12:00:00Z", "just now"], ["2026-11-21T11:59:51Z", "just now"], ["2026-11-21T11:59:30Z", "30 s ago"],
    ["2026-11-21T11:58:01Z", "1 min ago"], ["2026-11-21T09:30:00Z", "2 h ago"], ["2026-11-19T11:00:00Z", "2 d ago"],
    ["2026-11-21T12:00:30Z", "just now"], ["2026-11-21T13:30:00Z", "in 1 h"], ["nonsense", "–"],
  ])("%s was %s", (iso, shown) => {
    expect(ago(iso, now)).toBe(shown);
  });
});

describe("percent", () => {
  it.each([
    [0, "0 %"], [1, "100 %"], [0.783, "78 %"], [0.786, "79 %"], [0.004, "0.4 %"], [0.00001, "0.1 %"], [0.9996, "99.9 %"], [0.995, "99.5 %"],
  ])("%d is %s", (share, shown) => {
    expect(percent(share)).toBe(shown);
  });
});

describe("words", () => {
  it("turns a name of the API into words", () => {
    expect(words("awaiting_approval")).toBe("Awaiting approval");
    expect(words("")).toBe("");
  });
});

describe("timeZoneLabel", () => {
  it("names the zone and its offset", () => {
    expect(timeZoneLabel()).toMatch(/^.+ \(UTC[+−]\d\d:\d\d\)$/);
  });
});
