// Conditions and things as people write them, one a line, and back.
import type { Json } from "../../api/types";
import { t } from "../../texts";

export interface MatcherWord {
  name: string;
  op: string;
  value: string;
}

export interface ThingWord {
  kind: string;
  name: string;
}

const MATCHER = /^([A-Za-z_][A-Za-z0-9_.:/-]*)\s*(=~|!~|!=|=)\s*"?(.*?)"?$/;
const THING = /^(host|site|service)\s+(\S.*)$/;

/** Reads conditions; of a line that is none, an error says which. */
export function matchersOf(text: string): MatcherWord[] {
  return linesOf(text).map((line) => {
    const found = MATCHER.exec(line);
    if (found === null) throw new Error(t.mutes.form.badMatcher(line));
    return { name: found[1] ?? "", op: found[2] ?? "", value: found[3] ?? "" };
  });
}

export function thingsOf(text: string): ThingWord[] {
  return linesOf(text).map((line) => {
    const found = THING.exec(line);
    if (found === null) throw new Error(t.mutes.form.badThing(line));
    return { kind: found[1] ?? "", name: (found[2] ?? "").trim() };
  });
}

export function matchersText(value: Json | undefined): string {
  return listOf(value).map((one) => `${String(one["name"])}${String(one["op"])}${String(one["value"])}`).join("\n");
}

export function thingsText(value: Json | undefined): string {
  return listOf(value).map((one) => `${String(one["kind"])} ${String(one["name"])}`).join("\n");
}

/** A moment for a field of local date and time. */
export function localOf(moment: Json | undefined): string {
  if (typeof moment !== "string") return "";
  const at = new Date(moment);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function momentOf(local: string): string | null {
  return local === "" ? null : new Date(local).toISOString();
}

function linesOf(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

function listOf(value: Json | undefined): Record<string, Json>[] {
  return Array.isArray(value) ? (value as Record<string, Json>[]) : [];
}
