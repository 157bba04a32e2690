// Channels: each kind with a guide, secrets that only go in, a test message and what came of it.
import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { channelsQuery, deliveriesQuery, escalationKey, type Channel, type Delivery } from "../../api/escalation";
import type { Page } from "../../api/types";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { tellWithUndo } from "../../ui/undo";
import { EditChannel } from "./ChannelForm";
import classes from "./OnCall.module.css";

const POLL_MS = 700;
const ENDED = new Set(["delivered", "failed", "skipped"]);

export function Channels() {
  const tenant = useTenant();
  const mayWrite = useMay("escalation:write");
  const [wanted, setWanted] = useAddressText("q");
  const channels = useQuery(channelsQuery(tenant.id));
  const [editing, setEditing] = useState<Channel | "new" | null>(null);
  const [testing, setTesting] = useState<Channel | null>(null);
  const shown = channels.data?.filter((one) => `${one.name} ${t.channels.kinds[one.kind]}`.toLowerCase().includes(wanted.trim().toLowerCase()));
  return (
    <>
      <title>{t.pageTitle(t.channels.title)}</title>
      <PageHead title={t.channels.title}>
        {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.channels.add}</Button>}
      </PageHead>
      <p className={classes["soft"]}>{t.channels.lead}</p>
      <div className={classes["stack"]}>
        {channels.data === undefined && (channels.error === null ? <Panel><Lines rows={4} /></Panel> : <Trouble error={channels.error} onRetry={() => void channels.refetch()} />)}
        {channels.data?.length === 0 && <Panel><Empty title={t.channels.none}><p>{t.channels.noneText}</p></Empty></Panel>}
        {channels.data !== undefined && channels.data.length > 0 && (
          <TextInput
            type="search" size="xs" maw="20rem" aria-label={t.channels.find} placeholder={t.channels.find} value={wanted} maxLength={120} leftSection={<IconSearch width="0.9rem" />}
            onChange={(event) => setWanted(event.currentTarget.value)}
          />
        )}
        {shown?.length === 0 && channels.data !== undefined && channels.data.length > 0 && <Panel><Empty title={t.channels.noneFound} /></Panel>}
        {shown !== undefined && shown.length > 0 && (
          <Panel flush>
            <table className={tables["table"]}>
              <thead><tr><th>{t.channels.name}</th><th>{t.channels.kind}</th><th>{t.channels.enabled}</th><th>{t.channels.changed}</th><th><span className="visually-hidden">{t.common.actions}</span></th></tr></thead>
              <tbody>
                {shown.map((channel) => (
                  <tr key={channel.id}>
                    <td><b>{channel.name}</b></td>
                    <td data-label={t.channels.kind}>{t.channels.kinds[channel.kind]}</td>
                    <td data-label={t.channels.enabled}><Tag tone={channel.enabled ? "good" : "quiet"}>{channel.enabled ? t.channels.enabled : t.channels.off}</Tag></td>
                    <td data-label={t.channels.changed}><Ago at={channel.updated_at} /></td>
                    <td data-figures>
                      {mayWrite && (
                        <div className={classes["buttons"]}>
                          <Button size="compact-xs" variant="default" aria-label={t.channels.testNamed(channel.name)} onClick={() => setTesting(channel)}>{t.channels.test}</Button>
                          <Button size="compact-xs" variant="default" aria-label={t.channels.editNamed(channel.name)} onClick={() => setEditing(channel)}>{t.channels.edit}</Button>
                          <RemoveChannel channel={channel} />
                        </div>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Panel>
        )}
      </div>
      {editing !== null && <EditChannel channel={editing === "new" ? null : editing} onClose={() => setEditing(null)} onMade={(made) => { setEditing(null); setTesting(made); }} />}
      {testing !== null && <TestChannel channel={testing} onClose={() => setTesting(null)} />}
    </>
  );
}

function TestChannel({ channel, onClose }: { channel: Channel; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const send = useMutation({
    mutationFn: () => request<{ id: string }>(`escalation/channels/${channel.id}/test`, { method: "POST", tenantId: tenant.id }),
    onSuccess: () => client.invalidateQueries({ queryKey: deliveriesQuery(tenant.id, {}).queryKey.slice(0, 3) }),
  });
  const id = send.data?.id;
  const outcome = useQuery({
    queryKey: [...escalationKey(tenant.id), "test", id],
    enabled: id !== undefined,
    queryFn: async ({ signal }) => {
      const query = new URLSearchParams({ channel_id: channel.id, limit: "20" });
      const page = await request<Page<Delivery>>("escalation/deliveries", { tenantId: tenant.id, signal, query });
      return page.items.find((one) => one.id === id) ?? null;
    },
    refetchInterval: ({ state }) => (state.data != null && ENDED.has(state.data.state) ? false : POLL_MS),
  });
  const delivery = outcome.data ?? null;
  return (
    <Modal opened onClose={onClose} title={t.channels.testNamed(channel.name)} closeButtonProps={{ "aria-label": t.common.close }}>
      <p style={{ marginTop: 0 }}>{t.channels.testText}</p>
      <Button size="xs" loading={send.isPending} onClick={() => send.mutate()} data-autofocus>{t.channels.test}</Button>
      {send.error !== null && <Trouble error={send.error} />}
      <div role="status">
        {id !== undefined && (
          <p>
            <b>{delivery === null ? t.channels.testing : t.channels.tested[delivery.state]}.</b> {delivery?.error}{" "}
            <Link to="/t/$tenant/messages" params={{ tenant: tenant.slug }} search={{ channel_id: channel.id }}>{t.channels.inLog}</Link>
          </p>
        )}
      </div>
    </Modal>
  );
}

function RemoveChannel({ channel }: { channel: Channel }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
  const remove = useMutation({
    mutationFn: () => request<undefined>(`escalation/channels/${channel.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      setAsking(false);
      await refresh();
      tellWithUndo(t.channels.deleted(channel.name), async () => {
        await request("escalation/channels", { method: "POST", tenantId: tenant.id, body: { name: channel.name, enabled: channel.enabled, settings: { kind: channel.kind, ...channel.document } } });
        await refresh();
      });
    },
  });
  return (
    <>
      <Button size="compact-xs" variant="default" aria-label={t.channels.removeNamed(channel.name)} onClick={() => setAsking(true)}>{t.onCall.remove}</Button>
      {asking && (
        <Confirm title={t.channels.removeNamed(channel.name)} confirm={t.onCall.remove} danger pending={remove.isPending} error={remove.error} onClose={() => setAsking(false)} onConfirm={() => remove.mutate()}>
          <p style={{ margin: 0 }}>{t.channels.deleteText}</p>
        </Confirm>
      )}
    </>
  );
}
