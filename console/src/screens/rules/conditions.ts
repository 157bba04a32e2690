// Conditions of a rule as the form edits them: comparisons, and groups of them.
import type { Json, JsonObject } from "../../api/types";
import { asList, asObject } from "../../lib/story";

export const QUANTIFIERS = ["all", "any", "none"] as const;
export type Quantifier = (typeof QUANTIFIERS)[number];

export function quantifierOf(condition: JsonObject): Quantifier | null {
  return QUANTIFIERS.find((one) => condition[one] !== undefined) ?? null;
}

export function membersOf(condition: JsonObject, quantifier: Quantifier): JsonObject[] {
  return asList(condition[quantifier]).map((one) => asObject(one) ?? {});
}

/** What somebody typed as the value that they mean: a number, true or false where it reads as one. */
export function meant(text: string): Json {
  if (text === "true") return true;
  if (text === "false") return false;
  return /^-?\d{1,15}(\.\d{1,12})?$/.test(text) && !/^-?0\d/.test(text) ? Number(text) : text;
}

export function shownAs(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
