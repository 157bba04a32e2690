// Silences and windows: what is set, what the policy says, when each holds in the next two weeks; ended early, undone, looked back on.
import { Button, Modal, NativeSelect, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { calendarQuery, declaredQuery, MUTE_KINDS, MUTE_STATES, muteHistoryQuery, mutesKey, mutesQuery, type Mute } from "../../api/mutes";
import { actorName } from "../../lib/actors";
import { dateTime } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { tellWithUndo } from "../../ui/undo";
import { MuteForm } from "./MuteForm";

export function Mutes() {
  const tenant = useTenant();
  const mayWrite = useMay("mutes:write");
  const [wanted, setWanted] = useAddressText("q");
  const [kind, setKind] = useAddressText("kind");
  const [state, setState] = useAddressText("state", "active");
  const [editing, setEditing] = useState<Mute | "new" | null>(null);
  const [asked, setAsked] = useState<Mute | null>(null);
  const filters: Record<string, string> = { state, ...(kind === "" ? {} : { kind }), ...(wanted === "" ? {} : { q: wanted }) };
  const list = useInfiniteQuery(mutesQuery(tenant.id, filters));
  const isNarrow = wanted !== "" || kind !== "" || state !== "active";
  return (
    <>
      <title>{t.pageTitle(t.mutes.title)}</title>
      <PageHead title={t.mutes.title}>
        {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.mutes.add}</Button>}
      </PageHead>
      <p style={{ maxWidth: "48rem", margin: "0 0 0.8rem" }}>{t.mutes.lead}</p>
      <div style={{ display: "flex", gap: "0.6rem", flexWrap: "wrap", alignItems: "flex-end", marginBottom: "0.8rem" }}>
        <TextInput type="search" size="xs" aria-label={t.mutes.find} placeholder={t.mutes.find} value={wanted} maxLength={120} leftSection={<IconSearch width="0.9rem" />} onChange={(event) => setWanted(event.currentTarget.value)} />
        <NativeSelect size="xs" aria-label={t.mutes.kind} value={kind} onChange={(event) => setKind(event.currentTarget.value)} data={[{ value: "", label: t.mutes.anyKind }, ...MUTE_KINDS.map((one) => ({ value: one, label: t.mutes.kinds[one] }))]} />
        <NativeSelect size="xs" aria-label={t.mutes.state} value={state} onChange={(event) => setState(event.currentTarget.value)} data={MUTE_STATES.map((one) => ({ value: one, label: t.mutes.states[one] }))} />
      </div>
      <div style={{ display: "flex", flexDirection: "column", gap: "1rem" }}>
        <Listing
          list={list}
          empty={<Empty title={isNarrow ? t.mutes.noneFound : t.mutes.none}>{!isNarrow && <p>{t.mutes.noneText}</p>}</Empty>}
          columns={[t.mutes.form.title, t.mutes.kind, t.mutes.state, t.mutes.changes, t.mutes.mutedNow, t.mutes.by, unseen(t.common.actions)]}
          row={(mute) => <Row mute={mute} mayWrite={mayWrite} onEdit={() => setEditing(mute)} onHistory={() => setAsked(mute)} />}
        />
        <Declared />
        <Calendar />
      </div>
      {editing !== null && <MuteForm mute={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      {asked !== null && <History mute={asked} mayWrite={mayWrite} onClose={() => setAsked(null)} />}
    </>
  );
}

function Row({ mute, mayWrite, onEdit, onHistory }: { mute: Mute; mayWrite: boolean; onEdit: () => void; onHistory: () => void }) {
  return (
    <>
      <td><b>{mute.title}</b></td>
      <td data-label={t.mutes.kind}>{t.mutes.kinds[mute.kind]}</td>
      <td data-label={t.mutes.state}><Standing mute={mute} /></td>
      <td data-label={t.mutes.changes}>{mute.changes_at === null ? "–" : dateTime(mute.changes_at)}</td>
      <td data-label={t.mutes.mutedNow} data-figures>{mute.muted}</td>
      <td data-label={t.mutes.by}>{actorName(mute.created_by_name, mute.created_by)} <Ago at={mute.created_at} /></td>
      <td data-figures>
        <div style={{ display: "flex", gap: "0.4rem", justifyContent: "flex-end", flexWrap: "wrap" }}>
          {mayWrite && mute.state !== "ended" && <Button size="compact-xs" variant="default" aria-label={t.mutes.editNamed(mute.title)} onClick={onEdit}>{t.mutes.edit}</Button>}
          {mayWrite && mute.state !== "ended" && <EndMute mute={mute} />}
          <Button size="compact-xs" variant="default" aria-label={t.mutes.historyNamed(mute.title)} onClick={onHistory}>{t.mutes.history}</Button>
        </div>
      </td>
    </>
  );
}

function Standing({ mute }: { mute: Mute }) {
  if (mute.state !== "active") return <Tag tone="quiet">{t.mutes.states[mute.state]}</Tag>;
  return <Tag tone={mute.holds ? "waiting" : "plain"}>{mute.holds ? t.mutes.holds : t.mutes.rests}</Tag>;
}

function EndMute({ mute }: { mute: Mute }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: mutesKey(tenant.id) });
  const end = useMutation({
    mutationFn: () => request<Mute>(`mutes/${mute.id}/end`, { method: "POST", tenantId: tenant.id, body: { version: mute.version } }),
    onSuccess: async (ended) => {
      setAsking(false);
      await refresh();
      tellWithUndo(t.mutes.ended(mute.title), async () => {
        await request(`mutes/${mute.id}/undo`, { method: "POST", tenantId: tenant.id, body: { version: ended.version } });
        await refresh();
      });
    },
  });
  return (
    <>
      <Button size="compact-xs" variant="default" aria-label={t.mutes.endNamed(mute.title)} onClick={() => setAsking(true)}>{t.mutes.end}</Button>
      {asking && (
        <Confirm title={t.mutes.endNamed(mute.title)} confirm={t.mutes.end} danger pending={end.isPending} error={end.error} onClose={() => setAsking(false)} onConfirm={() => end.mutate()}>
          <p style={{ margin: 0 }}>{t.mutes.endText(mute.muted)}</p>
        </Confirm>
      )}
    </>
  );
}

function History({ mute, mayWrite, onClose }: { mute: Mute; mayWrite: boolean; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const history = useInfiniteQuery(muteHistoryQuery(tenant.id, mute.id));
  const changes = history.data?.pages.flatMap((page) => page.items);
  const undo = useMutation({
    mutationFn: () => request<Mute>(`mutes/${mute.id}/undo`, { method: "POST", tenantId: tenant.id, body: { version: mute.version } }),
    onSuccess: async () => { await client.invalidateQueries({ queryKey: mutesKey(tenant.id) }); onClose(); },
  });
  return (
    <Modal opened onClose={onClose} title={t.mutes.historyNamed(mute.title)} closeButtonProps={{ "aria-label": t.common.close }}>
      {changes === undefined ? history.error === null ? <Lines rows={3} /> : <Trouble error={history.error} onRetry={() => void history.refetch()} /> : (
        <ul>{changes.map((one) => <li key={one.version}><b>{t.mutes.did[one.did]}</b> {dateTime(one.at)}, {actorName(one.by_name, one.by)}</li>)}</ul>
      )}
      {history.hasNextPage && <Button mb="sm" size="xs" variant="default" loading={history.isFetchingNextPage} onClick={() => void history.fetchNextPage()}>{t.common.more}</Button>}
      {undo.error !== null && <Trouble error={undo.error} />}
      {mayWrite && (changes?.length ?? 0) > 1 && <Button size="xs" variant="default" loading={undo.isPending} onClick={() => undo.mutate()}>{t.mutes.undo}</Button>}
    </Modal>
  );
}

function Declared() {
  const tenant = useTenant();
  const declared = useQuery(declaredQuery(tenant.id));
  if (declared.data === undefined || declared.data.items.length === 0) return null;
  return (
    <Panel title={t.mutes.declared} aside={t.mutes.declaredText} flush>
      <table className={tables["table"]}>
        <thead><tr><th>{t.mutes.form.title}</th><th>{t.mutes.kind}</th><th>{t.mutes.covers}</th><th>{t.mutes.state}</th><th>{t.mutes.mutedNow}</th></tr></thead>
        <tbody>
          {declared.data.items.map((one) => (
            <tr key={one.id}>
              <td data-words><b>{one.title}</b> <Tag tone="plain">{t.mutes.origin[one.origin]}</Tag></td>
              <td data-label={t.mutes.kind}>{t.mutes.kinds[one.kind]}</td>
              <td data-label={t.mutes.covers} data-words>{String(one.document["covers"] ?? "")}</td>
              <td data-label={t.mutes.state}><Standing mute={one} /></td>
              <td data-label={t.mutes.mutedNow} data-figures>{one.muted}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Calendar() {
  const tenant = useTenant();
  const calendar = useQuery(calendarQuery(tenant.id));
  if (calendar.data === undefined) {
    return calendar.error === null ? <Panel title={t.mutes.calendar}><Lines rows={3} /></Panel> : <Trouble error={calendar.error} onRetry={() => void calendar.refetch()} />;
  }
  if (calendar.data.items.length === 0) return <Panel title={t.mutes.calendar}><Empty title={t.mutes.calendarNone} /></Panel>;
  return (
    <Panel title={t.mutes.calendar} flush>
      <table className={tables["table"]}>
        <thead><tr><th>{t.mutes.from}</th><th>{t.mutes.to}</th><th>{t.mutes.form.title}</th><th>{t.mutes.effect}</th><th>{t.mutes.covers}</th></tr></thead>
        <tbody>
          {calendar.data.items.map((span) => (
            <tr key={`${span.mute_id} ${span.begins}`}>
              <td>{dateTime(span.begins)}</td>
              <td data-label={t.mutes.to}>{dateTime(span.ends)} {span.is_cut && t.mutes.on}</td>
              <td data-label={t.mutes.form.title} data-words>{span.title}</td>
              <td data-label={t.mutes.effect}>{t.mutes.effects[span.effect]}</td>
              <td data-label={t.mutes.covers} data-words>{span.covers}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
