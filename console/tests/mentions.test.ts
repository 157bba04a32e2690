// Naming people in a comment: what is being typed, who is offered, what the text becomes, and whom it names in the end.
import { describe, expect, it } from "vitest";
import { askedAt, completed, namedIn, offered } from "../src/lib/mentions";

const ANN = { id: "1", name: "Ann" };
const ANN_LEE = { id: "2", name: "Ann Lee" };
const BO = { id: "3", name: "Bo Hanson" };
const PEOPLE = [BO, ANN_LEE, ANN];

describe("the name that is being typed", () => {
  it.each([
    ["@", 1, { from: 0, wanted: "" }],
    ["ask @an", 7, { from: 4, wanted: "an" }],
    ["(@Ann L", 7, { from: 1, wanted: "Ann L" }],
    ["one\n@b", 6, { from: 4, wanted: "b" }],
    ["@ann and more", 4, { from: 0, wanted: "ann" }],
    [`${"x".repeat(200)} @bo`, 204, { from: 201, wanted: "bo" }],
  ])("%j", (text, caret, asked) => {
    expect(askedAt(text, caret)).toEqual(asked);
  });

  it.each([["ann@example.org", 15], ["no one", 6], ["@ann\nnext", 9], ["@ ann", 5], ["@a@b", 4], ["", 0]])("is none in %j", (text, caret) => {
    expect(askedAt(text, caret)).toBeNull();
  });
});

it("offers whoever's name begins so first", () => {
  expect(offered(PEOPLE, "an")).toEqual([ANN_LEE, ANN, BO]);
  expect(offered(PEOPLE, "han")).toEqual([BO]);
  expect(offered(PEOPLE, "ann l")).toEqual([ANN_LEE]);
  expect(offered(PEOPLE, "")).toEqual(PEOPLE);
  expect(offered(PEOPLE, "zoe")).toEqual([]);
  expect(offered(Array.from({ length: 50 }, (_, n) => ({ id: String(n), name: "Ann" })), "a")).toHaveLength(8);
});

it("puts the name in place of what was typed, and the caret behind it", () => {
  expect(completed("ask @an please", 7, { from: 4, wanted: "an" }, "Ann Lee")).toEqual({ text: "ask @Ann Lee please", caret: 13 });
  expect(completed("@", 1, { from: 0, wanted: "" }, "Ann")).toEqual({ text: "@Ann ", caret: 5 });
});

it("names whoever still stands in the text, each once", () => {
  expect(namedIn("@Ann Lee and @Bo Hanson, @Bo Hanson", [BO, ANN_LEE, BO])).toEqual(["3", "2"]);
  expect(namedIn("@Ann Lee", [ANN, ANN_LEE])).toEqual(["2"]);
  expect(namedIn("@Ann Lee, @Ann", [ANN, ANN_LEE])).toEqual(["2", "1"]);
  expect(namedIn("taken out again", [ANN])).toEqual([]);
});
