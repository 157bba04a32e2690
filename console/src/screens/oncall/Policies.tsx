// Escalation policies: in their order, switched, edited, tried without a message, deleted with a way back.
import { Button, Group, Switch, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { channelsQuery, escalationKey, escalationPoliciesQuery, type EscalationPolicy, type PolicyDocument, type PolicyDraft } from "../../api/escalation";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Empty, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { tellWithUndo } from "../../ui/undo";
import classes from "./OnCall.module.css";
import { PolicyForm } from "./PolicyForm";
import { TryPolicy } from "./TryPolicy";

const USUAL_POSITION = 100;
const BLANK: PolicyDocument = {
  match: { severities: [], check_types: [], sites: [] }, steps: [{ targets: [], wait_seconds: 300 }], repeats: 0, fallback: [], quiet_hours: [],
  storm: { threshold: 10, window_seconds: 300, update_seconds: 300 },
};

export function EscalationPolicies() {
  const tenant = useTenant();
  const mayWrite = useMay("escalation:write");
  const [wanted, setWanted] = useAddressText("q");
  const policies = useQuery(escalationPoliciesQuery(tenant.id));
  const channels = useQuery(channelsQuery(tenant.id));
  const [editing, setEditing] = useState<EscalationPolicy | "new" | null>(null);
  const shown = policies.data
    ?.filter((one) => one.name.toLowerCase().includes(wanted.trim().toLowerCase()))
    .sort((one, other) => one.position - other.position || one.id.localeCompare(other.id));
  const lacksChannel = channels.data?.length === 0;
  return (
    <>
      <title>{t.pageTitle(t.escalations.title)}</title>
      <PageHead title={t.escalations.title}>
        {mayWrite && editing === null && !lacksChannel && (
          <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.escalations.add}</Button>
        )}
      </PageHead>
      <p className={classes["soft"]}>{t.escalations.lead}</p>
      {editing !== null && <EditPolicy key={editing === "new" ? "new" : editing.id} policy={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      {editing === null && (
        <div className={classes["stack"]}>
          {policies.data === undefined && (policies.error === null ? <Panel><Lines rows={4} /></Panel> : <Trouble error={policies.error} onRetry={() => void policies.refetch()} />)}
          {policies.data?.length === 0 && (
            <Panel>
              <Empty title={t.escalations.none}>
                <p>{t.escalations.noneText}</p>
                {lacksChannel && <Link to="/t/$tenant/channels" params={{ tenant: tenant.slug }}>{t.escalations.toChannels}</Link>}
              </Empty>
            </Panel>
          )}
          {policies.data !== undefined && policies.data.length > 0 && (
            <TextInput
              type="search" size="xs" maw="20rem" aria-label={t.escalations.find} placeholder={t.escalations.find} value={wanted} maxLength={120} leftSection={<IconSearch width="0.9rem" />}
              onChange={(event) => setWanted(event.currentTarget.value)}
            />
          )}
          {shown !== undefined && shown.length === 0 && policies.data !== undefined && policies.data.length > 0 && <Panel><Empty title={t.escalations.noneFound} /></Panel>}
          {shown !== undefined && shown.length > 0 && (
            <Panel flush>
              <table className={tables["table"]}>
                <thead>
                  <tr>
                    <th data-figures>{t.escalations.position}</th><th>{t.escalations.name}</th><th>{t.escalations.fits}</th><th>{t.escalations.steps}</th><th>{t.escalations.enabled}</th>
                    <th><span className="visually-hidden">{t.common.actions}</span></th>
                  </tr>
                </thead>
                <tbody>{shown.map((one) => <Row key={one.id} policy={one} mayWrite={mayWrite} onEdit={() => setEditing(one)} />)}</tbody>
              </table>
            </Panel>
          )}
          <TryPolicy draft={null} />
        </div>
      )}
    </>
  );
}

function Row({ policy, mayWrite, onEdit }: { policy: EscalationPolicy; mayWrite: boolean; onEdit: () => void }) {
  const { match, steps, repeats } = policy.document;
  const fits = [...match.severities.map((one) => t.severity[one]), ...match.check_types, ...match.sites];
  return (
    <tr>
      <td data-figures data-label={t.escalations.position}>{policy.position}</td>
      <td><b>{policy.name}</b></td>
      <td data-label={t.escalations.fits}>{fits.length === 0 ? t.escalations.everything : fits.join(", ")}</td>
      <td data-label={t.escalations.steps}>{t.escalations.stepsOf(steps.length, repeats)}</td>
      <td data-label={t.escalations.enabled}>
        {mayWrite ? <PolicySwitch policy={policy} /> : <Tag tone={policy.enabled ? "good" : "quiet"}>{policy.enabled ? t.rules.on : t.rules.off}</Tag>}
      </td>
      <td data-figures>
        {mayWrite && (
          <div className={classes["buttons"]}>
            <Button size="compact-xs" variant="default" aria-label={t.escalations.editNamed(policy.name)} onClick={onEdit}>{t.escalations.edit}</Button>
            <RemovePolicy policy={policy} />
          </div>
        )}
      </td>
    </tr>
  );
}

function usePut() {
  const tenant = useTenant();
  const client = useQueryClient();
  return async (id: string, draft: PolicyDraft, version: number) => {
    const kept = await request<EscalationPolicy>(`escalation/policies/${id}`, { method: "PUT", tenantId: tenant.id, body: { ...draft, version } });
    await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
    return kept;
  };
}

function draftOf({ name, enabled, position, document }: EscalationPolicy): PolicyDraft {
  return { name, enabled, position, ...document };
}

function PolicySwitch({ policy }: { policy: EscalationPolicy }) {
  const put = usePut();
  const turn = useMutation({
    mutationFn: (enabled: boolean) => put(policy.id, { ...draftOf(policy), enabled }, policy.version),
    onSuccess: (kept) => tellWithUndo(t.escalations.switched(kept.name, kept.enabled), () => put(kept.id, { ...draftOf(kept), enabled: !kept.enabled }, kept.version)),
  });
  return (
    <>
      <Switch size="xs" checked={turn.isPending ? turn.variables : policy.enabled} disabled={turn.isPending} aria-label={t.escalations.switchName(policy.name)} onChange={(event) => turn.mutate(event.currentTarget.checked)} />
      {turn.error !== null && <Trouble error={turn.error} />}
    </>
  );
}

function RemovePolicy({ policy }: { policy: EscalationPolicy }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
  const remove = useMutation({
    mutationFn: () => request<undefined>(`escalation/policies/${policy.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      setAsking(false);
      await refresh();
      tellWithUndo(t.escalations.deleted(policy.name), async () => {
        await request("escalation/policies", { method: "POST", tenantId: tenant.id, body: draftOf(policy) });
        await refresh();
      });
    },
  });
  return (
    <>
      <Button size="compact-xs" variant="default" aria-label={t.escalations.removeNamed(policy.name)} onClick={() => setAsking(true)}>{t.onCall.remove}</Button>
      {asking && (
        <Confirm title={t.escalations.removeNamed(policy.name)} confirm={t.onCall.remove} danger pending={remove.isPending} error={remove.error} onClose={() => setAsking(false)} onConfirm={() => remove.mutate()}>
          <p style={{ margin: 0 }}>{t.escalations.deleteText}</p>
        </Confirm>
      )}
    </>
  );
}

function EditPolicy({ policy, onClose }: { policy: EscalationPolicy | null; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const put = usePut();
  const [draft, setDraft] = useState<PolicyDraft>(policy === null ? { name: "", enabled: true, position: USUAL_POSITION, ...BLANK } : draftOf(policy));
  const save = useMutation({
    mutationFn: async () => {
      if (policy !== null) return put(policy.id, draft, policy.version);
      const made = await request<EscalationPolicy>("escalation/policies", { method: "POST", tenantId: tenant.id, body: draft });
      await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
      return made;
    },
    onSuccess: (kept) => {
      tellWithUndo(t.escalations.saved(kept.name), async () => {
        if (policy !== null) await put(kept.id, draftOf(policy), kept.version);
        else {
          await request(`escalation/policies/${kept.id}`, { method: "DELETE", tenantId: tenant.id });
          await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
        }
      });
      onClose();
    },
  });
  return (
    <form
      className={classes["form"]}
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <PolicyForm draft={draft} error={save.error} onChange={setDraft} />
      <TryPolicy draft={draft} />
      {save.error !== null && <Trouble error={save.error} />}
      {policy !== null && <p className={classes["soft"]}>{t.escalations.underWay}</p>}
      <Group gap="xs">
        <Button type="submit" loading={save.isPending}>{t.common.save}</Button>
        <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
      </Group>
    </form>
  );
}
