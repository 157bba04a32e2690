// How a pack's own test cases came out, and a button that runs them again.
import { Button, Group, Select } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { PackTestRun, PackVersion } from "../../api/authoring";
import { packTestsQuery } from "../../api/authoringQueries";
import { request } from "../../api/client";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Fold, Lines, Trouble } from "../../ui/parts";
import classes from "../../ui/authoring.module.css";
import tables from "../../ui/table.module.css";

export function PackTests({ packId, versions }: { packId: string; versions: readonly PackVersion[] }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [version, setVersion] = useState(versions.find((one) => one.active)?.version ?? versions[0]?.version ?? "");
  const { data, error, refetch } = useQuery(packTestsQuery(tenant.id, packId));
  const run = useMutation({
    mutationFn: () => request(`packs/${encodeURIComponent(packId)}/test`, { method: "POST", tenantId: tenant.id, query: new URLSearchParams({ version }) }),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "packs", "tests", packId] }),
  });
  return (
    <>
      <Group gap="xs" align="flex-end">
        <Select size="xs" label={t.packs.version} allowDeselect={false} value={version} onChange={(value) => setVersion(value ?? "")} data={versions.map((one) => one.version)} />
        <Button size="xs" loading={run.isPending} onClick={() => run.mutate()}>{t.packs.runTests}</Button>
      </Group>
      {run.error !== null && <Trouble error={run.error} />}
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Lines rows={3} />}
      {data?.items.length === 0 && <Empty title={t.packs.noTests}><p>{t.packs.noTestsText}</p></Empty>}
      {data?.items.map((one, index) => <Result key={one.id} run={one} first={index === 0} />)}
    </>
  );
}

function Result({ run, first }: { run: PackTestRun; first: boolean }) {
  const failed = run.cases.filter((one) => !one.passed);
  return (
    <div className={classes["entry"]}>
      <div className={classes["entryHead"]} role={first ? "status" : undefined}>
        <span>
          <Tag tone={run.passed ? "good" : "person"}>{run.passed ? t.packs.passed(run.cases.length) : t.packs.failed(failed.length, run.cases.length)}</Tag> {run.version} <Ago at={run.ran_at} />{" "}
          <span className={classes["soft"]}>{t.versions.by(run.ran_by)}</span>
        </span>
      </div>
      {failed.length > 0 && <Cases cases={failed} />}
      {run.untested_rules.length > 0 && <Fold title={t.packs.untested(run.untested_rules.length)}><p>{run.untested_rules.join(", ")}</p></Fold>}
      <Fold title={t.packs.showPassed}><Cases cases={run.cases.filter((one) => one.passed)} /></Fold>
    </div>
  );
}

function Cases({ cases }: { cases: PackTestRun["cases"] }) {
  return (
    <div className={classes["scroll"]}>
      <table className={tables["table"]}>
        <thead><tr><th>{t.packs.caseName}</th><th>{t.packs.rule}</th><th>{t.packs.outcome}</th></tr></thead>
        <tbody>
          {cases.map((one) => (
            <tr key={one.name}>
              <td>{one.name}</td>
              <td data-label={t.packs.rule}><code>{one.rule ?? t.ruleEditor.nobody}</code></td>
              <td data-label={t.packs.outcome}>{one.passed ? t.packs.ok : one.failures.join("; ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
