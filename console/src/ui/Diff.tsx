// What differs: lines of two texts, or values of two documents, each with a sign and a word, never a colour alone.
import type { FieldChange } from "../api/authoring";
import type { Json } from "../api/types";
import { lineDiff } from "../lib/lineDiff";
import { t } from "../texts";
import tables from "./table.module.css";
import classes from "./authoring.module.css";

const SIGNS = { same: " ", added: "+", removed: "−" } as const;
const AROUND = 3;

export function TextDiff({ before, after, label }: { before: string; after: string; label: string }) {
  const all = lineDiff(before, after);
  const near = all.map((_line, index) => all.slice(Math.max(0, index - AROUND), index + AROUND + 1).some((line) => line.kind !== "same"));
  if (!near.includes(true)) return <p className={classes["soft"]}>{t.diff.none}</p>;
  return (
    <pre className={classes["diff"]} tabIndex={0} aria-label={label}>
      {all.map((line, index) => {
        if (near[index] !== true) return near[index - 1] === true ? <span key={index} data-kind="gap">⋯{"\n"}</span> : null;
        return (
          <span key={index} data-kind={line.kind}>
            <span aria-hidden="true">{SIGNS[line.kind]} </span>
            {line.kind !== "same" && <span className="visually-hidden">{t.diff[line.kind]}: </span>}
            {line.text}
            {"\n"}
          </span>
        );
      })}
    </pre>
  );
}

export function FieldChanges({ changes }: { changes: readonly FieldChange[] }) {
  if (changes.length === 0) return <p className={classes["soft"]}>{t.diff.none}</p>;
  return (
    <table className={tables["table"]}>
      <thead><tr><th>{t.diff.where}</th><th>{t.diff.before}</th><th>{t.diff.after}</th></tr></thead>
      <tbody>
        {changes.map((change) => (
          <tr key={change.pointer}>
            <td data-label={t.diff.where}><code>{change.pointer === "" ? "/" : change.pointer}</code></td>
            <td data-label={t.diff.before}>{change.kind === "added" ? t.diff.nothing : <Value value={change.before} />}</td>
            <td data-label={t.diff.after}>{change.kind === "removed" ? t.diff.nothing : <Value value={change.after} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Value({ value }: { value: Json }) {
  return <code className={classes["value"]}>{typeof value === "string" ? value : JSON.stringify(value)}</code>;
}
