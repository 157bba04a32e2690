// What authors write: YAML that is plain, lines that differ, conditions as meant, and a playbook's graph.
import { describe, expect, it } from "vitest";
import { lineDiff } from "../src/lib/lineDiff";
import { playbookGraph } from "../src/lib/playbookGraph";
import { readYaml, writeYaml } from "../src/lib/yaml";
import { meant, shownAs } from "../src/screens/rules/conditions";

describe("YAML", () => {
  it("reads plain data and says on which line each value stands", () => {
    const read = readYaml("id: X\nconditions:\n  - field: a\n    value: '1'\n");
    expect(read.problems).toEqual([]);
    expect(read.value).toEqual({ id: "X", conditions: [{ field: "a", value: "1" }] });
    expect([read.lineOf("/id"), read.lineOf("/conditions/0/value"), read.lineOf("/conditions/9"), read.lineOf("")]).toEqual([1, 4, 2, 1]);
  });

  it.each([
    ["a: &a [1]\nb: *a\n", 1],
    ["x: 1\na: !!js/function 'x'\n", 2],
    ["a: 1\na: 2\n", 2],
    ["a: [\n", 2],
    [`a: ${"x".repeat(100_001)}`, 1],
  ])("refuses what is not plain: %s", (text, line) => {
    const read = readYaml(text);
    expect(read.value).toBeUndefined();
    expect(read.problems[0]?.line).toBe(line);
  });

  it("reads back what it writes, whatever looks like something else", () => {
    const value = { a: "yes", b: "1e3", c: "0x1f", d: "007", e: "2026-01-01", f: ["", "null", "~", true, 1.5], g: "two\nlines\n", h: { ["x: y"]: "#" } };
    expect(readYaml(writeYaml(value)).value).toEqual(value);
  });
});

describe("what differs", () => {
  it("keeps what stayed and orders what went before what came", () => {
    const found = lineDiff("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n");
    expect(found.map((line) => line.kind[0] + line.text)).toEqual(["sa", "rb", "ax", "sc", "sd", "ae"]);
  });

  it("tells both texts again, however they differ", () => {
    const before = Array.from({ length: 40 }, (_one, index) => String((index * 7) % 5)).join("\n");
    const after = Array.from({ length: 35 }, (_one, index) => String((index * 3) % 5)).join("\n");
    const found = lineDiff(before, after);
    expect(found.filter((line) => line.kind !== "added").map((line) => line.text).join("\n")).toBe(before);
    expect(found.filter((line) => line.kind !== "removed").map((line) => line.text).join("\n")).toBe(after);
  });
});

describe("values of conditions", () => {
  it("takes numbers and truth for what they are, and versions and zeros for text", () => {
    expect(["1", "-2.5", "true", "1.2.3", "007", "", "x"].map(meant)).toEqual([1, -2.5, true, "1.2.3", "007", "", "x"]);
    expect([shownAs(1), shownAs(null), shownAs(["a"])]).toEqual(["1", "", '["a"]']);
  });
});

describe("a playbook's graph", () => {
  const words = { start: "Start", end: "End", verify: "Check" };

  it("puts parallel steps beside each other, joined above and below", () => {
    const graph = playbookGraph(
      { id: "P", steps: [{ id: "one", tool: "noop" }, { id: "both", parallel: [{ id: "left", tool: "a" }, { id: "right", tool: "b" }] }], verify: { tool: "check.run" } },
      words,
    );
    const at = Object.fromEntries(graph.nodes.map((node) => [node.id, node]));
    expect(at["left"]?.y).toBe(at["right"]?.y);
    expect(at["left"]?.x).toBeLessThan(at["right"]?.x ?? 0);
    expect(graph.edges.filter((edge) => edge.from === "one").map((edge) => edge.to)).toEqual(["left", "right"]);
    expect(graph.edges.filter((edge) => edge.to === "(verify)").map((edge) => edge.from)).toEqual(["left", "right"]);
  });

  it("draws something of whatever is given", () => {
    expect(playbookGraph({}, words).nodes.map((node) => node.title)).toEqual(["Start", "End"]);
    expect(playbookGraph({ steps: [null, 1, { parallel: [] }, { id: "a", approve: { by: ["operator"] } }] as never }, words).nodes.at(-2)?.detail).toBe("operator");
  });
});
