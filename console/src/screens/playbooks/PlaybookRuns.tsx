// The runs of a playbook, newest first, each with its steps.
import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { oneRunQuery, playbookRunsQuery } from "../../api/authoringQueries";
import type { Run } from "../../api/types";
import { duration, words } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Fold, JsonView, Lines, Trouble } from "../../ui/parts";
import classes from "../../ui/authoring.module.css";

export function PlaybookRuns({ id }: { id: string }) {
  const tenant = useTenant();
  const [chosen] = useAddressText("run");
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({ ...playbookRunsQuery(tenant.id, id), refetchInterval: 5_000 });
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={4} />;
  const runs = data.pages.flatMap((page) => page.items);
  if (runs.length === 0) return <Empty title={t.playbooks.noRuns}><p>{t.playbooks.noRunsText}</p></Empty>;
  return (
    <>
      {runs.map((run) => <RunEntry key={run.id} run={run} open={run.id === chosen} />)}
      {hasNextPage && <Button size="xs" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>{t.playbooks.moreRuns}</Button>}
    </>
  );
}

function RunEntry({ run, open }: { run: Run; open: boolean }) {
  const tenant = useTenant();
  const outcome = run.outcome ?? run.state;
  return (
    <div className={classes["entry"]}>
      <div className={classes["entryHead"]}>
        <span>
          <Tag tone={outcome === "verified" || outcome === "completed" ? "good" : run.outcome === null ? "moving" : "person"}>{words(outcome)}</Tag>{" "}
          <Ago at={run.created_at} /> {run.rule_id !== null && <code>{run.rule_id}</code>}{" "}
          {run.incident_id !== null && (
            <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: run.incident_id }}>{t.ruleEditor.incident}</Link>
          )}
        </span>
      </div>
      {run.reason !== null && <p className={classes["soft"]}>{run.reason}</p>}
      {open ? <RunSteps id={run.id} /> : <Fold title={t.playbooks.steps}><RunSteps id={run.id} /></Fold>}
    </div>
  );
}

function RunSteps({ id }: { id: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(oneRunQuery(tenant.id, id));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={3} />;
  return (
    <ol>
      {data.steps.map((step) => (
        <li key={step.path}>
          {step.title} {step.tool !== null && <code>{step.tool}</code>} <Tag tone={step.state === "succeeded" ? "good" : step.state === "failed" || step.state === "unknown" ? "person" : "plain"}>{words(step.state)}</Tag>{" "}
          {step.ended_at !== null && <span className={classes["soft"]}>{duration((Date.parse(step.ended_at) - Date.parse(step.started_at)) / 1000)}</span>}
          <Fold title={`${t.incident.input}, ${t.incident.output.toLowerCase()}`}>
            <div><JsonView value={step.input} label={t.incident.input} /> <JsonView value={step.error ?? step.output} label={t.incident.output} /></div>
          </Fold>
        </li>
      ))}
    </ol>
  );
}
