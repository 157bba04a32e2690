// The tenant's data: all of it as one file to take away, and its erasure for good.
import { Button, Progress } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { download, request } from "../../api/client";
import type { DataExport } from "../../api/platform";
import { erasuresQuery, rolesQuery } from "../../api/identityQueries";
import { exportsQuery } from "../../api/platformQueries";
import { meQuery } from "../../api/queries";
import type { Accepted } from "../../api/types";
import { dateTime, words } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { JsonTree } from "../../ui/JsonTree";
import { Tag } from "../../ui/marks";
import { Ago, Fold, Hash, PageHead, Panel, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

/* It belongs to an account, not to a tenant. */
const OF_THE_PLATFORM = "platform_admin";
const STATE_TONES = { queued: "moving", ready: "good", failed: "waiting" } as const;

export function Data() {
  const tenant = useTenant();
  const mayErase = useMay("data:erase");
  const isAdmin = useQuery(meQuery()).data?.is_platform_admin ?? false;
  return (
    <>
      <title>{t.pageTitle(t.settings.data)}</title>
      <PageHead title={t.settings.data} />
      <Export />
      {mayErase && (
        <Panel title={t.data.erase}>
          <p className={classes["lead"]}>{t.data.eraseLead(tenant.name)} <WhoMay permission="data:erase" say={t.data.mayErase} /></p>
          <Erase />
        </Panel>
      )}
      {isAdmin && <Erasures />}
    </>
  );
}

/* The roles that hold a permission, so that one knows whom to ask or to mind. */
function WhoMay({ permission, say }: { permission: string; say: (roles: string) => string }) {
  const tenant = useTenant();
  const { data } = useQuery(rolesQuery(tenant.id));
  const roles = data?.roles.filter((role) => role.name !== OF_THE_PLATFORM && role.permissions.includes(permission)).map((role) => words(role.name));
  return roles === undefined || roles.length === 0 ? null : <>{say(roles.join(", "))}</>;
}

function Erasures() {
  const { data, error } = useQuery(erasuresQuery());
  return (
    <Panel title={t.data.erasures}>
      {error !== null && <Trouble error={error} />}
      {data?.items.length === 0 && <p className={classes["soft"]} style={{ margin: 0 }}>{t.data.noErasures}</p>}
      <ul className={classes["rows"]}>
        {data?.items.map((one) => (
          <li key={one.id}>
            <div className={classes["grow"]}>
              <p>{t.data.erasedTenant} <code>{one.tenant_id}</code></p>
              <p className={classes["soft"]}>
                {t.data.erasedAsked} <Ago at={one.requested_at} />{one.completed_at !== null && <> · {t.data.erasedAt} <Ago at={one.completed_at} /></>}
              </p>
              {one.completed_at === null && <p className={classes["soft"]} role="status">{goneSoFar(one.deleted)}</p>}
              {one.record !== null && <Fold title={t.data.erasedRecord}><JsonTree value={one.record} label={t.data.erasedRecord} /></Fold>}
            </div>
            {one.completed_at === null && <Tag tone="moving">{t.data.erasedUnderWay}</Tag>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Export() {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const exports = useQuery(exportsQuery(tenant.id));
  const start = useMutation({
    mutationFn: () => stepUp(() => request<Accepted>(`tenants/${tenant.id}/export`, { method: "POST", tenantId: tenant.id })),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "exports"] }),
  });
  const fetchIt = useMutation({
    mutationFn: (one: DataExport) => stepUp(() => download(`exports/${one.id}/download`, `${tenant.slug}.zip`, { tenantId: tenant.id })),
  });
  const error = start.error ?? fetchIt.error ?? exports.error;
  return (
    <Panel title={t.data.export} aside={<Button size="xs" onClick={() => start.mutate()} loading={start.isPending}>{t.data.exportStart}</Button>}>
      <p className={classes["lead"]}>{t.data.exportLead} <WhoMay permission="data:export" say={t.data.mayExport} /></p>
      {error !== null && <Trouble error={error} />}
      {exports.data?.items.length === 0 && <p className={classes["soft"]} style={{ margin: 0 }}>{t.data.noExports}</p>}
      <ul className={classes["rows"]}>
        {exports.data?.items.map((one) => (
          <li key={one.id}>
            <div className={classes["grow"]}>
              <p>{t.data.asked} <Ago at={one.requested_at} />{one.size_bytes !== null && <> · {t.data.size(one.size_bytes)}</>}</p>
              {one.sha256 !== null && <p className={classes["soft"]}>SHA-256 <Hash value={one.sha256} label="SHA-256" /></p>}
              {one.state === "queued" && <Progress value={one.progress * 100} aria-label={t.data.progressOf(one.progress)} my={4} maw="16rem" />}
              {one.state === "failed" && <p className={classes["soft"]}>{t.data.failed}</p>}
              {one.expires_at !== null && <p className={classes["soft"]}>{t.security.until(dateTime(one.expires_at))}</p>}
            </div>
            <Tag tone={STATE_TONES[one.state]}>{t.data.state[one.state]}</Tag>
            {one.state === "ready" && <Button size="compact-xs" variant="default" onClick={() => fetchIt.mutate(one)} loading={fetchIt.isPending}>{t.security.download}</Button>}
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
          title={t.data.eraseThis(tenant.name)} consequence={<WhatWillHappen />} confirm={t.data.eraseForGood} typed={tenant.slug}
          pending={erase.isPending} error={erase.error} onClose={() => setAsking(false)} onConfirm={() => erase.mutate()}
        />
      )}
    </>
  );
}

function WhatWillHappen() {
  return (
    <>
      <p style={{ marginTop: 0 }}>{t.data.eraseWill}</p>
      <ul>{t.data.eraseSteps.map((step) => <li key={step}>{step}</li>)}</ul>
      <p style={{ marginBottom: 0 }}>{t.data.eraseText}</p>
    </>
  );
}

function goneSoFar(deleted: Record<string, number>): string {
  const counts = Object.values(deleted);
  return t.data.erasedSoFar(t.data.rows(counts.reduce((sum, one) => sum + one, 0)), t.data.tables(counts.length));
}
