// What was done: each run with its steps, their input and output, the verification, and a rollback if there was one.
import { useQuery } from "@tanstack/react-query";
import { runQuery, runsQuery } from "../api/queries";
import type { IncidentDetail, Run, RunStep } from "../api/types";
import { duration, words } from "../lib/format";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconRight } from "../ui/icons";
import { Tag } from "../ui/marks";
import { JsonTree } from "../ui/JsonTree";
import { Ago, Fold, Lines, Trouble } from "../ui/parts";
import classes from "./IncidentPage.module.css";

type Tone = "plain" | "good" | "waiting" | "person" | "moving" | "quiet";

const TONES: Record<string, Tone> = {
  queued: "quiet", started: "moving", running: "moving", waiting: "waiting", succeeded: "good", failed: "person", skipped: "quiet", unknown: "person",
  verified: "good", completed: "good", rolled_back: "person",
};

export function IncidentSteps({ incident }: { incident: IncidentDetail }) {
  const tenant = useTenant();
  const mayRead = useMay("playbooks:read");
  const { data, error, refetch } = useQuery({ ...runsQuery(tenant.id, incident.id), enabled: mayRead });
  if (!mayRead) return <p className={classes["note"]}>{t.common.mayNot}</p>;
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={3} />;
  const [latest, ...earlier] = data.items;
  if (latest === undefined) return <p className={classes["note"]}>{t.incident.noSteps}</p>;
  return (
    <>
      <RunView key={latest.id} run={latest} incidentId={incident.id} />
      {earlier.length > 0 && (
        <Fold title={t.incident.earlierRuns(earlier.length)}>
          {earlier.map((run) => <RunView key={run.id} run={run} incidentId={incident.id} />)}
        </Fold>
      )}
    </>
  );
}

function RunView({ run, incidentId }: { run: Run; incidentId: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(runQuery(tenant.id, incidentId, run.id));
  const outcome = run.outcome ?? run.state;
  return (
    <section>
      <p className={classes["runHead"]}>
        <b>{t.incident.run(run.playbook_id)}</b>
        <Tag tone={TONES[outcome] ?? "plain"}>{words(outcome)}</Tag>
        {run.started_at !== null && <span className={classes["stepTool"]}><Ago at={run.started_at} /></span>}
        {run.reason !== null && <span className={classes["stepTool"]}>{run.reason}</span>}
      </p>
      {data === undefined && (error === null ? <Lines rows={2} height={28} /> : <Trouble error={error} onRetry={() => void refetch()} />)}
      <ol className={classes["steps"]}>
        {data?.steps.map((step) => <StepView key={step.path} step={step} />)}
      </ol>
    </section>
  );
}

function StepView({ step }: { step: RunStep }) {
  const took = step.ended_at === null ? null : duration((Date.parse(step.ended_at) - Date.parse(step.started_at)) / 1000);
  return (
    <li className={classes["step"]}>
      <details open={step.state === "failed" || step.state === "unknown"}>
        <summary>
          <IconRight width="0.85rem" height="0.85rem" />
          <span className={classes["stepName"]}>
            {step.title}{" "}
            {step.tool !== null && <code className={classes["stepTool"]}>{step.tool}</code>}
          </span>
          {step.phase !== "act" && <span className={classes["stepTool"]}>{t.incident.phase(step.phase)}</span>}
          {step.attempt > 1 && <span className={classes["stepTool"]}>{t.incident.attempts(step.attempt)}</span>}
          {took !== null && <span className={classes["stepTool"]}>{took}</span>}
          <Tag tone={TONES[step.state] ?? "plain"}>{words(step.state)}</Tag>
        </summary>
        <div className={classes["io"]}>
          <div><h4>{t.incident.input}</h4><JsonTree value={step.input} label={t.incident.input} /></div>
          <div><h4>{t.incident.output}</h4><JsonTree value={step.output} label={t.incident.output} /></div>
          {step.error !== null && <div className={classes["whole"]}><h4>{t.incident.error}</h4><JsonTree value={step.error} label={t.incident.error} /></div>}
        </div>
      </details>
    </li>
  );
}
