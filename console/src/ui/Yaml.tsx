// The YAML editor with its problems as a list below, so that they can be read without a pointer.
import { lazy, Suspense } from "react";
import type { DraftProblem } from "../api/authoring";
import { t } from "../texts";
import { Lines } from "./parts";
import type { YamlEditorProps } from "./YamlEditor";
import classes from "./authoring.module.css";

const YamlEditor = lazy(() => import("./YamlEditor"));

export function Yaml(props: YamlEditorProps) {
  return (
    <div>
      <Suspense fallback={<Lines rows={8} />}>
        <YamlEditor {...props} />
      </Suspense>
      {props.onChange !== undefined && <Problems problems={props.problems ?? []} />}
    </div>
  );
}

export function Problems({ problems }: { problems: readonly DraftProblem[] }) {
  return (
    <div className={classes["problems"]} aria-live="polite">
      {problems.length === 0 ? (
        <p data-level="good">{t.editor.fine}</p>
      ) : (
        <ul>
          {problems.slice(0, 30).map((problem) => (
            <li key={`${problem.line}${problem.pointer}${problem.message}`} data-level={problem.level}>
              <b>{t.editor.line(problem.line)}</b> {problem.message} {problem.fix}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
