// One schedule: who is on call when, as a plot; its rotations and stand-ins, edited and tried before they are saved; calendars in and out.
import { Button, FileInput, Group, Modal, SegmentedControl, Stack } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { download, request } from "../../api/client";
import { escalationKey, previewQuery, scheduleQuery, type Preview, type Schedule, type ScheduleDocument } from "../../api/escalation";
import { browserTimeZone } from "../../lib/preferences";
import { useMay, useTenant } from "../../lib/tenant";
import { useNotSaved } from "../../lib/useNotSaved";
import { wallIn } from "../../lib/zones";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { IconBack, IconDownload } from "../../ui/icons";
import { Lines, Notice, PageHead, Panel, Trouble } from "../../ui/parts";
import { tellWithUndo } from "../../ui/undo";
import page from "../IncidentPage.module.css";
import classes from "./OnCall.module.css";
import { ScheduleForm, type Draft } from "./ScheduleForm";
import { TurnPlot } from "./TurnPlot";

const WEEKS = [1, 4, 8, 13];
const LONGEST_DAYS = 93;
const MOST_FILE_BYTES = 1_000_000;

export function SchedulePage() {
  const tenant = useTenant();
  const { scheduleId } = useParams({ from: "/t/$tenant/on-call/$scheduleId" });
  const fresh = scheduleId === "new";
  const schedule = useQuery({ ...scheduleQuery(tenant.id, scheduleId), enabled: !fresh });
  return (
    <>
      <Link to="/t/$tenant/on-call" params={{ tenant: tenant.slug }} className={page["back"]}><IconBack width="0.9rem" /> {t.onCall.title}</Link>
      {fresh && <NewSchedule />}
      {!fresh && schedule.data !== undefined && <Kept key={schedule.data.id} schedule={schedule.data} />}
      {!fresh && schedule.data === undefined && (schedule.error === null ? <Panel><Lines rows={8} /></Panel> : <Trouble error={schedule.error} onRetry={() => void schedule.refetch()} />)}
    </>
  );
}

function NewSchedule() {
  const tenant = useTenant();
  const client = useQueryClient();
  const navigate = useNavigate();
  const zone = browserTimeZone();
  const monday = `${wallIn(zone, new Date().toISOString()).slice(0, 10)}T09:00`;
  const [draft, setDraft] = useState<Draft>({
    name: "", time_zone: zone, layers: [{ name: "Rotation", people: [], starts: monday, unit: "weeks", length: 1, windows: [] }], overrides: [],
  });
  const make = useMutation({
    mutationFn: () => request<Schedule>("escalation/schedules", { method: "POST", tenantId: tenant.id, body: draft }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
      notifications.show({ message: t.onCall.made(made.name) });
      void navigate({ to: "/t/$tenant/on-call/$scheduleId", params: { tenant: tenant.slug, scheduleId: made.id }, ignoreBlocker: true });
    },
  });
  useNotSaved(draft.name !== "" && !make.isSuccess);
  return (
    <>
      <title>{t.pageTitle(t.onCall.add)}</title>
      <PageHead title={t.onCall.add} />
      <Editor draft={draft} onChange={setDraft} pending={make.isPending} error={make.error} confirm={t.onCall.add} onSave={() => make.mutate()} />
    </>
  );
}

function Kept({ schedule }: { schedule: Schedule }) {
  const tenant = useTenant();
  const mayWrite = useMay("escalation:write");
  const [editing, setEditing] = useState(false);
  const [weeks, setWeeks] = useState(4);
  const preview = useQuery(previewQuery(tenant.id, schedule.id, Math.min(weeks * 7, LONGEST_DAYS)));
  return (
    <div className={classes["stack"]}>
      <title>{t.pageTitle(schedule.name)}</title>
      <PageHead title={schedule.name}>
        <Calendars schedule={schedule} mayWrite={mayWrite} />
        {mayWrite && !editing && <Button size="xs" onClick={() => setEditing(true)}>{t.onCall.edit}</Button>}
        {mayWrite && <Remove schedule={schedule} />}
      </PageHead>
      {schedule.warnings.length > 0 && (
        <Notice title={t.onCall.gapsTitle}>
          <p>{t.onCall.gapsText}</p>
          <ul>{schedule.warnings.map((warning) => <li key={warning}>{warning}</li>)}</ul>
        </Notice>
      )}
      <Panel
        title={t.onCall.next(weeks)}
        aside={
          <SegmentedControl
            size="xs" aria-label={t.onCall.weeks} value={String(weeks)} onChange={(value) => setWeeks(Number(value))}
            data={WEEKS.map((value) => ({ value: String(value), label: String(value) }))}
          />
        }
      >
        {preview.data !== undefined && <TurnPlot spans={preview.data.items} zone={schedule.document.time_zone} name={schedule.name} />}
        {preview.data === undefined && (preview.error === null ? <Lines rows={4} /> : <Trouble error={preview.error} onRetry={() => void preview.refetch()} />)}
      </Panel>
      {editing && <EditKept schedule={schedule} onClose={() => setEditing(false)} />}
    </div>
  );
}

function EditKept({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft>({ name: schedule.name, ...schedule.document });
  const put = async (body: Draft, version: number) => {
    const kept = await request<Schedule>(`escalation/schedules/${schedule.id}`, { method: "PUT", tenantId: tenant.id, body: { ...body, version } });
    await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
    return kept;
  };
  const save = useMutation({
    mutationFn: () => put(draft, schedule.version),
    onSuccess: (kept) => {
      tellWithUndo(t.onCall.saved(kept.name), () => put({ name: schedule.name, ...schedule.document }, kept.version));
      onClose();
    },
  });
  useNotSaved(JSON.stringify(draft) !== JSON.stringify({ name: schedule.name, ...schedule.document }) && !save.isSuccess);
  return <Editor draft={draft} onChange={setDraft} pending={save.isPending} error={save.error} confirm={t.common.save} onSave={() => save.mutate()} onCancel={onClose} />;
}

interface EditorProps {
  draft: Draft;
  onChange: (draft: Draft) => void;
  pending: boolean;
  error: Error | null;
  confirm: string;
  onSave: () => void;
  onCancel?: () => void;
}

function Editor({ draft, onChange, pending, error, confirm, onSave, onCancel }: EditorProps) {
  const tenant = useTenant();
  const look = useMutation({
    mutationFn: () => request<Preview>("escalation/schedules/preview", { method: "POST", tenantId: tenant.id, body: { ...draft, name: draft.name.trim() || t.onCall.preview } }),
  });
  return (
    <form
      className={classes["form"]}
      onSubmit={(event) => {
        event.preventDefault();
        onSave();
      }}
    >
      <ScheduleForm draft={draft} error={error ?? look.error} onChange={(next) => { look.reset(); onChange(next); }} />
      <Panel title={t.onCall.preview} aside={<Button size="compact-sm" variant="default" loading={look.isPending} onClick={() => look.mutate()}>{t.onCall.tryIt}</Button>}>
        <p className={classes["soft"]}>{t.onCall.previewText}</p>
        {look.error !== null && <Trouble error={look.error} />}
        {look.data !== undefined && <TurnPlot spans={look.data.items} zone={draft.time_zone} name={draft.name} />}
        {look.data !== undefined && look.data.gaps.length > 0 && <p className={classes["warning"]}>{t.onCall.gaps(look.data.gaps.length)}. {t.onCall.gapsText}</p>}
      </Panel>
      {error !== null && <Trouble error={error} />}
      <Group gap="xs">
        <Button type="submit" loading={pending}>{confirm}</Button>
        {onCancel !== undefined && <Button variant="default" onClick={onCancel}>{t.common.cancel}</Button>}
      </Group>
    </form>
  );
}

function Remove({ schedule }: { schedule: Schedule }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const again = async (name: string, document: ScheduleDocument) => {
    await request("escalation/schedules", { method: "POST", tenantId: tenant.id, body: { name, ...document } });
    await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
  };
  const remove = useMutation({
    mutationFn: () => request<undefined>(`escalation/schedules/${schedule.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      await navigate({ to: "/t/$tenant/on-call", params: { tenant: tenant.slug } });
      await client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
      tellWithUndo(t.onCall.deleted(schedule.name), () => again(schedule.name, schedule.document));
    },
  });
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setAsking(true)}>{t.onCall.delete}</Button>
      {asking && (
        <Confirm title={t.onCall.deleteNamed(schedule.name)} confirm={t.onCall.delete} danger pending={remove.isPending} error={remove.error} onClose={() => setAsking(false)} onConfirm={() => remove.mutate()}>
          <p style={{ margin: 0 }}>{t.onCall.deleteText}</p>
        </Confirm>
      )}
    </>
  );
}

interface Imported {
  taken: number;
  unknown: string[];
  version: number;
}

function Calendars({ schedule, mayWrite }: { schedule: Schedule; mayWrite: boolean }) {
  const tenant = useTenant();
  const [taking, setTaking] = useState(false);
  const fetchIt = useMutation({ mutationFn: () => download(`escalation/schedules/${schedule.id}/calendar.ics`, "on-call.ics", { tenantId: tenant.id }) });
  return (
    <>
      {fetchIt.error !== null && <Trouble error={fetchIt.error} />}
      <Button size="xs" variant="default" leftSection={<IconDownload width="0.95rem" />} loading={fetchIt.isPending} title={t.onCall.exportHelp} onClick={() => fetchIt.mutate()}>{t.onCall.export}</Button>
      {mayWrite && <Button size="xs" variant="default" onClick={() => setTaking(true)}>{t.onCall.import}</Button>}
      {taking && <TakeCalendar schedule={schedule} onClose={() => setTaking(false)} />}
    </>
  );
}

function TakeCalendar({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
  const take = useMutation({
    mutationFn: async (chosen: File) =>
      request<Imported>(`escalation/schedules/${schedule.id}/calendar`, {
        method: "POST", tenantId: tenant.id, body: { ics: (await chosen.text()).slice(0, MOST_FILE_BYTES), version: schedule.version },
      }),
    onSuccess: async (answer) => {
      await refresh();
      tellWithUndo(t.onCall.imported(answer.taken), async () => {
        await request(`escalation/schedules/${schedule.id}`, { method: "PUT", tenantId: tenant.id, body: { name: schedule.name, ...schedule.document, version: answer.version } });
        await refresh();
      });
      if (answer.unknown.length === 0) onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={t.onCall.import} closeButtonProps={{ "aria-label": t.common.close }}>
      <form onSubmit={(event) => { event.preventDefault(); if (file !== null) take.mutate(file); }}>
        <Stack gap="sm">
          <p style={{ margin: 0 }}>{t.onCall.importHelp}</p>
          <FileInput label={t.onCall.importFile} required accept=".ics,text/calendar" value={file} onChange={setFile} clearable clearButtonProps={{ "aria-label": t.onCall.remove }} />
          {take.error !== null && <Trouble error={take.error} />}
          {take.data !== undefined && take.data.unknown.length > 0 && (
            <Notice title={t.onCall.imported(take.data.taken)}>
              <p>{t.onCall.unknown}</p>
              <ul>{take.data.unknown.map((one) => <li key={one}>{one}</li>)}</ul>
            </Notice>
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{take.isSuccess ? t.common.close : t.common.cancel}</Button>
            {!take.isSuccess && <Button type="submit" loading={take.isPending} disabled={file === null}>{t.onCall.importConfirm}</Button>}
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
