// YAML as authors write it here: plain data, without tags, anchors and aliases, and the line of every value.
import { isMap, isScalar, isSeq, LineCounter, parseDocument, stringify, visit, type Node, type Pair } from "yaml";
import type { DraftProblem } from "../api/authoring";
import type { Json } from "../api/types";
import { t } from "../texts";

const LONGEST = 100_000;

export interface ReadYaml {
  /** What was read; undefined where the text is not the plain YAML described above. */
  value: Json | undefined;
  problems: DraftProblem[];
  /** The line, from 1, of what a JSON pointer names, or of the nearest thing around it. */
  lineOf: (pointer: string) => number;
}

export function readYaml(text: string): ReadYaml {
  if (text.length > LONGEST) return refused(1, t.editor.tooLong(LONGEST));
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, schema: "core", merge: false, logLevel: "silent", uniqueKeys: true });
  const lineAt = (node: Node | null | undefined) => (node?.range == null ? 1 : counter.linePos(node.range[0]).line);
  const [error] = document.errors;
  if (error !== undefined) return refused(error.linePos?.[0].line ?? 1, error.message.split("\n")[0] ?? "");
  let trap: DraftProblem | null = null;
  visit(document, {
    Alias: (_key, node) => {
      trap ??= problem(lineAt(node), "", t.editor.alias);
      return visit.BREAK;
    },
    Node: (_key, node) => {
      const unplain = ("anchor" in node && node.anchor !== undefined) || node.tag !== undefined;
      if (!unplain) return undefined;
      trap ??= problem(lineAt(node), "", t.editor.tag);
      return visit.BREAK;
    },
  });
  if (trap !== null) return { value: undefined, problems: [trap], lineOf: () => 1 };
  return {
    value: (document.toJS({ maxAliasCount: 0 }) ?? null) as Json,
    problems: [],
    lineOf: (pointer) => {
      let node: unknown = document.contents;
      let line = lineAt(document.contents);
      for (const word of pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))) {
        const next = inner(node, word);
        if (next === null) break;
        node = next.value;
        line = lineAt(next.at);
      }
      return line;
    },
  };
}

export function writeYaml(value: unknown): string {
  return stringify(value, { schema: "core", lineWidth: 100, aliasDuplicateObjects: false });
}

function inner(node: unknown, word: string): { value: unknown; at: Node | null } | null {
  if (isSeq(node)) {
    const item = node.items[Number(word)];
    return item === undefined ? null : { value: item, at: item as Node };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find((one: Pair) => isScalar(one.key) && String(one.key.value) === word);
  return pair === undefined ? null : { value: pair.value, at: pair.key as Node };
}

function refused(line: number, message: string): ReadYaml {
  return { value: undefined, problems: [problem(line, "", message)], lineOf: () => line };
}

function problem(line: number, pointer: string, message: string): DraftProblem {
  return { line, pointer, message, fix: "", level: "error" };
}
