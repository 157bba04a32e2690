// The tenant's data: all of it as one file to take away, and its erasure for good.
import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { download, request } from "../../api/client";
import type { Job } from "../../api/platform";
import { jobsQuery } from "../../api/platformQueries";
import type { Accepted } from "../../api/types";
import { percent } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Tag } from "../../ui/marks";
import { Ago, PageHead, Panel, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

export function Data() {
  const tenant = useTenant();
  return (
    <>
      <title>{t.pageTitle(t.settings.data)}</title>
      <PageHead title={t.settings.data} />
      <Export />
      <Panel title={t.data.erase}>
        <p className={classes["lead"]}>{t.data.eraseLead(tenant.name)}</p>
        <Erase />
      </Panel>
    </>
  );
}

function Export() {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const jobs = useQuery(jobsQuery(tenant.id, "identity.export"));
  const start = useMutation({
    mutationFn: () => stepUp(() => request<Accepted>(`tenants/${tenant.id}/export`, { method: "POST", tenantId: tenant.id })),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "jobs"] }),
  });
  const fetchIt = useMutation({
    mutationFn: (job: Job) => stepUp(() => download((job.result_href ?? "").replace(/^\/api\/v1\//, ""), `${tenant.slug}.zip`, { tenantId: tenant.id })),
  });
  return (
    <Panel title={t.data.export} aside={<Button size="xs" onClick={() => start.mutate()} loading={start.isPending}>{t.data.exportStart}</Button>}>
      <p className={classes["lead"]}>{t.data.exportLead}</p>
      {(start.error ?? fetchIt.error ?? jobs.error) !== null && <Trouble error={(start.error ?? fetchIt.error ?? jobs.error)!} />}
      <ul className={classes["rows"]}>
        {jobs.data?.items.map((job) => (
          <li key={job.id}>
            <div className={classes["grow"]}>
              <p>{t.data.asked} <Ago at={job.created_at} /></p>
              {job.error !== null && <p className={classes["soft"]}>{job.error}</p>}
            </div>
            <Tag tone={job.state === "succeeded" ? "good" : job.state === "failed" ? "person" : "moving"}>{job.state === "running" ? percent(job.progress) : t.jobState[job.state]}</Tag>
            {job.result_href !== null && <Button size="compact-xs" variant="default" onClick={() => fetchIt.mutate(job)} loading={fetchIt.isPending}>{t.security.download}</Button>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Erase() {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const [asking, setAsking] = useState(false);
  const erase = useMutation({
    mutationFn: () => stepUp(() => request<Accepted>(`tenants/${tenant.id}/erase`, { method: "POST", tenantId: tenant.id, body: { confirm: tenant.slug } })),
    onSuccess: async () => {
      setAsking(false);
      await client.invalidateQueries({ queryKey: ["me"] });
    },
  });
  if (erase.isSuccess) return <p role="status">{t.data.erasing}</p>;
  return (
    <>
      <Button color="red" onClick={() => setAsking(true)}>{t.data.eraseThis(tenant.name)}</Button>
      {asking && (
        <ConfirmDialog
          title={t.data.eraseThis(tenant.name)} consequence={t.data.eraseText} confirm={t.data.eraseForGood} typed={tenant.slug}
          pending={erase.isPending} error={erase.error} onClose={() => setAsking(false)} onConfirm={() => erase.mutate()}
        />
      )}
    </>
  );
}
