// What an incident is linked to, what was merged into it, and what it was merged into.
import { ActionIcon, Button, Group, Modal, NativeSelect, Stack } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { LINK_KINDS, linksQuery, type IncidentLink, type LinkedIncident, type LinkKind } from "../../api/incidentWork";
import { incidentKey } from "../../api/queries";
import type { Incident } from "../../api/types";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconCross, IconPlus } from "../../ui/icons";
import { StateMark } from "../../ui/marks";
import { Lines, Notice, Trouble } from "../../ui/parts";
import { FindIncident } from "./FindIncident";
import classes from "./work.module.css";

export function Links({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("incidents:write");
  const { data, error, refetch } = useQuery(linksQuery(tenant.id, incidentId));
  const [adding, setAdding] = useState(false);
  const remove = useMutation({
    mutationFn: (link: IncidentLink) => request<undefined>(`incidents/${incidentId}/links/${link.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSettled: () => void client.invalidateQueries({ queryKey: incidentKey(tenant.id, incidentId) }),
  });
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={2} />;
  return (
    <>
      {data.items.length === 0 && data.merged.length === 0 && <p className={classes["note"]}>{t.work.links.none}</p>}
      {data.items.length > 0 && (
        <ul className={classes["linkList"]}>
          {data.items.map((link) => (
            <li key={link.id}>
              <span className={classes["says"]}>{t.work.links.says[link.says]}</span>
              <OtherIncident incident={link.incident} />
              {mayWrite && (
                <ActionIcon
                  variant="subtle" color="gray" size="sm" className="no-print" aria-label={t.work.links.remove(link.incident.number)}
                  loading={remove.isPending && remove.variables?.id === link.id} onClick={() => remove.mutate(link)}
                >
                  <IconCross width="0.8rem" />
                </ActionIcon>
              )}
            </li>
          ))}
        </ul>
      )}
      {data.merged.length > 0 && (
        <>
          <h3 className={classes["says"]}>{t.work.links.merged}</h3>
          <ul className={classes["linkList"]}>{data.merged.map((one) => <li key={one.id}><OtherIncident incident={one} /></li>)}</ul>
        </>
      )}
      {remove.error !== null && <Trouble error={remove.error} />}
      {mayWrite && (
        <Button size="xs" variant="default" className="no-print" leftSection={<IconPlus width="0.85rem" />} onClick={() => setAdding(true)}>{t.work.links.add}</Button>
      )}
      <Modal opened={adding} onClose={() => setAdding(false)} title={t.work.links.addTitle} closeButtonProps={{ "aria-label": t.common.close }}>
        {adding && <Add incidentId={incidentId} onDone={() => setAdding(false)} />}
      </Modal>
    </>
  );
}

/** Where this incident went, if it became a part of another. */
export function MergedInto({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const into = useQuery(linksQuery(tenant.id, incidentId)).data?.merged_into;
  if (into == null) return null;
  return <Notice title={t.work.links.mergedInto(into.number)}><OtherIncident incident={into} /></Notice>;
}

export function OtherIncident({ incident }: { incident: LinkedIncident }) {
  const tenant = useTenant();
  return (
    <>
      <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: incident.id }}>#{incident.number} {incident.title}</Link>
      <StateMark state={incident.state} />
    </>
  );
}

function Add({ incidentId, onDone }: { incidentId: string; onDone: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [kind, setKind] = useState<LinkKind>("relates_to");
  const [other, setOther] = useState<Incident | null>(null);
  const add = useMutation({
    mutationFn: () => request<IncidentLink>(`incidents/${incidentId}/links`, { method: "POST", tenantId: tenant.id, body: { kind, incident_id: other?.id } }),
    onSuccess: onDone,
    onSettled: () => void client.invalidateQueries({ queryKey: incidentKey(tenant.id, incidentId) }),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (other !== null) add.mutate();
      }}
    >
      <Stack gap="sm">
        <NativeSelect
          label={t.work.links.kind} value={kind} data={LINK_KINDS.map((value) => ({ value, label: t.work.links.kinds[value] }))}
          onChange={(event) => setKind(event.currentTarget.value as LinkKind)}
        />
        <FindIncident except={incidentId} chosen={other} onChoose={setOther} />
        {add.error !== null && <Trouble error={add.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onDone}>{t.common.cancel}</Button>
          <Button type="submit" loading={add.isPending} disabled={other === null}>{t.work.links.add}</Button>
        </Group>
      </Stack>
    </form>
  );
}
