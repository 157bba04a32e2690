// A document that is written as a form and as YAML, kept the same both ways, with what is wrong at its lines.
import { useMemo, useState } from "react";
import type { DraftProblem } from "../api/authoring";
import { ApiProblem, type FieldFault } from "../api/problem";
import type { JsonObject } from "../api/types";
import { t } from "../texts";
import { asObject } from "./story";
import { readYaml, writeYaml } from "./yaml";

export interface Draft {
  /** What was read; null where the text is no mapping, or no plain YAML. */
  document: JsonObject | null;
  text: string;
  /** Whether the text is not the one that it began with. */
  edited: boolean;
  usable: boolean;
  setDocument: (next: JsonObject) => void;
  setText: (next: string) => void;
  /** What is wrong with the text, and what the platform refused in it. */
  problems: (refusal: readonly FieldFault[]) => DraftProblem[];
}

export function useDraft(first: JsonObject): Draft {
  const [document, setDocument] = useState<JsonObject | null>(first);
  const [text, setText] = useState(() => writeYaml(first));
  const read = useMemo(() => readYaml(text), [text]);
  const noMapping = document === null && read.problems.length === 0;
  return {
    document,
    text,
    edited: text !== writeYaml(first),
    usable: document !== null && read.problems.length === 0,
    setDocument: (next) => {
      setDocument(next);
      setText(writeYaml(next));
    },
    setText: (next) => {
      setText(next);
      setDocument(asObject(readYaml(next).value ?? null));
    },
    problems: (refusal) => [
      ...read.problems,
      ...(noMapping ? [faultAt(1, "", t.editor.notMapping)] : []),
      ...refusal.map((one) => faultAt(read.lineOf(one.pointer), one.pointer, `${one.pointer} ${one.detail}`)),
    ],
  };
}

/** What the platform refused, field by field. */
export function refusalOf(error: Error | null): readonly FieldFault[] {
  return error instanceof ApiProblem ? error.faults : [];
}

function faultAt(line: number, pointer: string, message: string): DraftProblem {
  return { line, pointer, message, fix: "", level: "error" };
}
