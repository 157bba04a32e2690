// Local times of a schedule's zone, also where the clocks change.
import { describe, expect, it } from "vitest";
import { instantIn, midnights, wallIn } from "../src/lib/zones";

describe("local times of a zone", () => {
  it("are those of a clock there", () => {
    expect(wallIn("Europe/Berlin", "2026-01-05T08:00:00Z")).toBe("2026-01-05T09:00");
    expect(wallIn("Asia/Kathmandu", "2026-01-05T20:00:00Z")).toBe("2026-01-06T01:45");
    expect(instantIn("Europe/Berlin", "2026-07-05T09:00")).toBe("2026-07-05T07:00:00.000Z");
  });

  it("of two moments that show the same are the first", () => {
    expect(instantIn("Europe/Berlin", "2026-10-25T02:30")).toBe("2026-10-25T00:30:00.000Z");
  });

  it("that are left out are what clocks show instead", () => {
    expect(instantIn("Europe/Berlin", "2026-03-29T02:30")).toBe("2026-03-29T01:30:00.000Z");
  });

  it.each(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "America/Sao_Paulo", "Pacific/Apia"])("come back as they were in %s", (zone) => {
    for (let day = 0; day < 365; day += 1) {
      const iso = new Date(Date.UTC(2026, 0, 1 + day, 12)).toISOString();
      expect(instantIn(zone, wallIn(zone, iso))).toBe(iso);
    }
  });

  it("is nothing where nothing is written", () => {
    expect(instantIn("Europe/Berlin", "")).toBeNull();
  });
});

describe("midnights", () => {
  it("are of the zone, also on the days of 23 and of 25 hours", () => {
    const march = midnights("Europe/Berlin", Date.parse("2026-03-28T12:00:00Z"), Date.parse("2026-03-31T12:00:00Z"));
    expect(march.map((at) => new Date(at).toISOString())).toEqual(["2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z", "2026-03-30T22:00:00.000Z"]);
    expect(midnights("Europe/Berlin", Date.parse("2026-10-24T12:00:00Z"), Date.parse("2026-10-27T12:00:00Z"))).toHaveLength(3);
  });
});
