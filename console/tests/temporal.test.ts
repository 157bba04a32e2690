// Rules over time as authors write them: which kind says what, and the order in which it stands.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../src/api/types";
import { inSchemaOrder } from "../src/lib/schemaOrder";
import { FRESH, KINDS, MAY, NEEDS, ofKind } from "../src/screens/temporal/kinds";

interface OfKind {
  if: { properties: { kind: { const: string } } };
  then: { required: string[] };
}

const SCHEMA = JSON.parse(readFileSync(new URL("../../docs/schemas/temporal-rule.schema.json", import.meta.url), "utf8")) as JsonObject;

describe("a rule over time", () => {
  it("needs of each kind what the schema says", () => {
    const needed = (SCHEMA["allOf"] as unknown as OfKind[]).map((one) => [one.if.properties.kind.const, one.then.required]);
    expect(Object.fromEntries(needed)).toEqual(NEEDS);
    const known = Object.keys(SCHEMA["properties"] as JsonObject);
    for (const name of Object.values(MAY).flat()) expect(known).toContain(name);
  });

  it("stands in the order of the schema, with what that does not know at the end", () => {
    const kept = { by: ["host"], zz: 1, id: "T", raises: { summary: "s", severity: "low", check_type: "c" }, kind: "count", conditions: [{ all: [{ value: 1, field: "f", operator: "eq" }] }] };
    expect(JSON.stringify(inSchemaOrder(kept, SCHEMA))).toBe(
      '{"id":"T","kind":"count","by":["host"],"conditions":[{"all":[{"field":"f","operator":"eq","value":1}]}],"raises":{"check_type":"c","severity":"low","summary":"s"},"zz":1}',
    );
  });

  it.each(KINDS.flatMap((from) => KINDS.map((to) => [from, to] as const)))("is one of the kind %s, then of %s, and again as it was", (from, to) => {
    const first = ofKind(FRESH, from, {});
    const other = ofKind(first, to, first);
    for (const name of NEEDS[to]) expect(other[name]).toBeDefined();
    const may = [...NEEDS[to], ...MAY[to], "id", "title", "kind", "by", "raises"];
    expect(Object.keys(other).filter((name) => !may.includes(name))).toEqual([]);
    expect(ofKind(other, from, { ...first, ...other, ...first })).toEqual(first);
  });
});
