// JSON as a tree that is opened branch by branch, by mouse or keyboard.
import type { Json } from "../api/types";
import { t } from "../texts";
import classes from "./JsonTree.module.css";

const OPEN_DEPTH = 2;
const MOST_OPEN = 12;

export function JsonTree({ value, label }: { value: Json; label: string }) {
  return <div className={classes["tree"]} role="group" aria-label={label} tabIndex={0}>{isBranch(value) ? <Branch value={value} depth={0} /> : <Leaf value={value} />}</div>;
}

function Branch({ value, depth }: { value: Json; depth: number }) {
  const entries: [string, Json][] = Array.isArray(value) ? value.map((one, index) => [String(index), one]) : typeof value === "object" && value !== null ? Object.entries(value) : [];
  return (
    <ul className={classes["branch"]}>
      {entries.map(([name, one]) => (
        <li key={name}>
          {isBranch(one) ? (
            <details open={depth < OPEN_DEPTH && sizeOf(one) <= MOST_OPEN}>
              <summary><span className={classes["name"]}>{name}</span> <span className={classes["size"]}>{t.tree.size(Array.isArray(one), sizeOf(one))}</span></summary>
              <Branch value={one} depth={depth + 1} />
            </details>
          ) : (
            <><span className={classes["name"]}>{name}</span> <Leaf value={one} /></>
          )}
        </li>
      ))}
    </ul>
  );
}

function Leaf({ value }: { value: Json }) {
  const kind = value === null ? "null" : typeof value;
  const text = Array.isArray(value) ? "[]" : typeof value === "object" && value !== null ? "{}" : String(value);
  return <span className={classes["leaf"]} data-kind={kind}>{text}</span>;
}

function isBranch(value: Json): boolean {
  return typeof value === "object" && value !== null && sizeOf(value) > 0;
}

function sizeOf(value: Json): number {
  if (Array.isArray(value)) return value.length;
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}
