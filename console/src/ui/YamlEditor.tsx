// A text editor for YAML with line numbers, colours, problems at their lines and completions; loaded when it is needed.
import { autocompletion, closeBrackets, completionKeymap, type CompletionContext } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { DraftProblem } from "../api/authoring";

export interface YamlEditorProps {
  value: string;
  label: string;
  onChange?: (value: string) => void;
  problems?: readonly DraftProblem[];
  /** Names that completion offers, each with what it is. */
  words?: readonly { label: string; detail: string }[];
}

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--fettle-accent)" },
  { tag: [tags.string, tags.content], color: "var(--fettle-text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--fettle-low)" },
  { tag: tags.comment, color: "var(--fettle-text-soft)", fontStyle: "italic" },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace], color: "var(--fettle-text-soft)" },
]);

const LOOK = EditorView.theme({
  "&": {
    border: "1px solid var(--fettle-line-strong)", borderRadius: "6px", background: "var(--fettle-surface)", color: "var(--fettle-text)",
    fontSize: "0.8125rem", maxHeight: "32rem",
  },
  "&.cm-focused": { outline: "2px solid var(--fettle-accent)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.6", minHeight: "12rem" },
  ".cm-content": { caretColor: "var(--fettle-text)" },
  ".cm-cursor": { borderLeftColor: "var(--fettle-text)" },
  ".cm-gutters": { background: "var(--fettle-sunken)", color: "var(--fettle-text-soft)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { background: "color-mix(in srgb, var(--fettle-accent-soft) 45%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--fettle-accent-soft)" },
  ".cm-tooltip": { background: "var(--fettle-surface)", border: "1px solid var(--fettle-line-strong)", color: "var(--fettle-text)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--fettle-accent)", color: "var(--fettle-surface)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--fettle-critical)" },
});

export default function YamlEditor({ value, label, onChange, problems = [], words = [] }: YamlEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const told = useRef(onChange);
  const known = useRef(words);
  useEffect(() => {
    told.current = onChange;
    known.current = words;
  });

  useEffect(() => {
    if (place.current === null) return undefined;
    const still = new Compartment();
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(), history(), drawSelection(), bracketMatching(), closeBrackets(), highlightActiveLine(), yaml(), lintGutter(),
          syntaxHighlighting(COLOURS), LOOK, EditorView.lineWrapping,
          autocompletion({ override: [(context: CompletionContext) => complete(context, known.current)], icons: false }),
          // Tab leaves the editor, as it leaves any other field.
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
          still.of(told.current === undefined ? [EditorState.readOnly.of(true)] : []),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) told.current?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => {
      view.current = null;
      made.destroy();
    };
    // The editor keeps its own text; a value from outside is put in below.
  }, [label]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const diagnostics = problems.map((problem) => {
      const line = editor.state.doc.line(Math.min(Math.max(1, problem.line), editor.state.doc.lines));
      return { from: line.from, to: line.to, severity: problem.level, message: `${problem.message} ${problem.fix}`.trim() };
    });
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [problems]);

  return <div ref={place} />;
}

function complete(context: CompletionContext, words: readonly { label: string; detail: string }[]) {
  const word = context.matchBefore(/[\w.-]+/);
  if (word === null && !context.explicit) return null;
  return { from: word?.from ?? context.pos, options: words.map((one) => ({ ...one, type: "text" })), validFor: /^[\w.-]*$/ };
}
