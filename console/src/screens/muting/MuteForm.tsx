// Setting something that mutes, or changing it: what it covers, when it holds, and what it would mute now.
import { Button, Chip, Group, Modal, NativeSelect, Stack, Switch, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { EFFECTS, MUTE_KINDS, mutesKey, type Effect, type Mute, type MuteKind, type MutePreview } from "../../api/mutes";
import type { Json } from "../../api/types";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { SeverityMark } from "../../ui/marks";
import { Trouble } from "../../ui/parts";
import { localOf, matchersOf, matchersText, momentOf, thingsOf, thingsText } from "./words";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const HOUR_MS = 3_600_000;

interface MuteFormProps {
  /** What is changed; null sets something new. */
  mute: Mute | null;
  /** What a new silence begins with. */
  matchers?: string;
  incidentId?: string;
  onClose: () => void;
}

export function MuteForm({ mute, matchers = "", incidentId, onClose }: MuteFormProps) {
  const tenant = useTenant();
  const client = useQueryClient();
  const before = mute?.document ?? {};
  const recurrence = (before["recurrence"] ?? null) as Record<string, Json> | null;
  const on = (before["on"] ?? null) as Record<string, Json> | null;
  const [kind, setKind] = useState<MuteKind>(mute?.kind ?? "silence");
  const [title, setTitle] = useState(mute?.title ?? "");
  const [covers, setCovers] = useState(mute === null ? matchers : matchersText(before["matchers"]));
  const [effect, setEffect] = useState((before["effect"] as Effect | undefined) ?? "suppress");
  const [begins, setBegins] = useState(mute === null ? "" : localOf(before["starts_at"]));
  const [ends, setEnds] = useState(mute === null ? localOf(new Date(Date.now() + 2 * HOUR_MS).toISOString()) : localOf(before["ends_at"]));
  const [recurs, setRecurs] = useState(recurrence !== null);
  const [days, setDays] = useState<string[]>((recurrence?.["weekdays"] as string[] | undefined) ?? ["sat"]);
  const [from, setFrom] = useState(String(recurrence?.["from"] ?? "22:00"));
  const [to, setTo] = useState(String(recurrence?.["to"] ?? "04:00"));
  const [zone, setZone] = useState(String(recurrence?.["timezone"] ?? Intl.DateTimeFormat().resolvedOptions().timeZone));
  const [source, setSource] = useState(matchersText(before["source"]));
  const [target, setTarget] = useState(matchersText(before["target"]));
  const [equal, setEqual] = useState(((before["equal"] as string[] | undefined) ?? ["site"]).join(", "));
  const [dependents, setDependents] = useState(thingsText(before["dependents"]));
  const [onThing, setOnThing] = useState(on === null ? "" : `${String(on["kind"])} ${String(on["name"])}`);
  const [down, setDown] = useState(matchersText(before["down"]));
  const isTimed = kind === "silence" || kind === "window";

  const document = (): Record<string, Json> => {
    const head = { kind, title: title.trim() };
    if (kind === "inhibition") {
      return { ...head, source: matchersOf(source), target: matchersOf(target), equal: equal.split(",").map((one) => one.trim()).filter((one) => one !== "") } as unknown as Record<string, Json>;
    }
    if (kind === "dependency") {
      return { ...head, dependents: thingsOf(dependents), on: thingsOf(onThing)[0] ?? null, down: matchersOf(down) } as unknown as Record<string, Json>;
    }
    const when = { starts_at: momentOf(begins), ends_at: momentOf(ends), recurrence: recurs ? { weekdays: days, from, to, timezone: zone } : null };
    const more = kind === "window" ? { effect } : incidentId === undefined ? {} : { incident_id: incidentId };
    return { ...head, matchers: matchersOf(covers), ...when, ...more } as unknown as Record<string, Json>;
  };

  const preview = useMutation({
    mutationFn: async () => request<MutePreview>("mutes/preview", { method: "POST", tenantId: tenant.id, body: { mute: { ...document(), title: title.trim() || "-" } } }),
  });
  const save = useMutation({
    mutationFn: async () =>
      mute === null
        ? request<Mute>("mutes", { method: "POST", tenantId: tenant.id, body: { mute: document() } })
        : request<Mute>(`mutes/${mute.id}`, { method: "PUT", tenantId: tenant.id, body: { mute: document(), version: mute.version } }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: mutesKey(tenant.id) });
      await client.invalidateQueries({ predicate: (query) => query.queryKey[0] === tenant.id && query.queryKey.includes("explain") });
      notifications.show({ message: t.mutes.saved(made.title) });
      onClose();
    },
  });
  const words = t.mutes.form;
  return (
    <Modal opened onClose={onClose} size="lg" title={mute === null ? t.mutes.add : t.mutes.editNamed(mute.title)} closeButtonProps={{ "aria-label": t.common.close }}>
      <form onSubmit={(event) => { event.preventDefault(); save.mutate(); }}>
        <Stack gap="sm">
          <NativeSelect label={t.mutes.kind} description={t.mutes.kindHelp[kind]} value={kind} disabled={mute !== null} onChange={(event) => setKind(event.currentTarget.value as MuteKind)} data={MUTE_KINDS.map((one) => ({ value: one, label: t.mutes.kinds[one] }))} data-autofocus />
          <TextInput label={kind === "silence" ? words.why : words.title} description={words.whyHelp} required maxLength={300} value={title} onChange={(event) => setTitle(event.currentTarget.value)} />
          {isTimed && (
            <>
              <Textarea label={words.matchers} description={`${words.matchersHelp}${kind === "window" ? ` ${words.nothing}` : ""}`} autosize minRows={2} required={kind === "silence"} value={covers} onChange={(event) => setCovers(event.currentTarget.value)} />
              {kind === "window" && (
                <NativeSelect label={t.mutes.effect} value={effect} onChange={(event) => setEffect(event.currentTarget.value as Effect)} data={EFFECTS.map((one) => ({ value: one, label: t.mutes.effects[one] }))} />
              )}
              <Group grow align="flex-start">
                <TextInput type="datetime-local" label={words.begins} description={words.beginsHelp} value={begins} onChange={(event) => setBegins(event.currentTarget.value)} />
                <TextInput type="datetime-local" label={words.ends} description={words.endsHelp} required={!recurs} value={ends} onChange={(event) => setEnds(event.currentTarget.value)} />
              </Group>
              <Switch label={words.recurs} checked={recurs} onChange={(event) => { setRecurs(event.currentTarget.checked); if (event.currentTarget.checked && mute === null) setEnds(""); }} />
              {recurs && (
                <>
                  <Chip.Group multiple value={days} onChange={setDays}>
                    <Group gap="xs" role="group" aria-label={words.days}>{DAYS.map((day) => <Chip key={day} value={day} size="xs">{words.weekdays[day]}</Chip>)}</Group>
                  </Chip.Group>
                  <Group grow align="flex-start">
                    <TextInput type="time" label={words.timeFrom} required value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
                    <TextInput type="time" label={words.timeTo} description={words.timeToHelp} required value={to} onChange={(event) => setTo(event.currentTarget.value)} />
                    <TextInput label={words.zone} required value={zone} onChange={(event) => setZone(event.currentTarget.value)} />
                  </Group>
                </>
              )}
            </>
          )}
          {kind === "inhibition" && (
            <>
              <Textarea label={words.source} description={words.matchersHelp} autosize minRows={2} required value={source} onChange={(event) => setSource(event.currentTarget.value)} />
              <Textarea label={words.target} autosize minRows={2} required value={target} onChange={(event) => setTarget(event.currentTarget.value)} />
              <TextInput label={words.equal} description={words.equalHelp} value={equal} onChange={(event) => setEqual(event.currentTarget.value)} />
            </>
          )}
          {kind === "dependency" && (
            <>
              <Textarea label={words.dependents} description={words.dependentsHelp} autosize minRows={2} required value={dependents} onChange={(event) => setDependents(event.currentTarget.value)} />
              <TextInput label={words.onThing} description={words.onHelp} required value={onThing} onChange={(event) => setOnThing(event.currentTarget.value)} />
              <Textarea label={words.down} description={words.matchersHelp} autosize minRows={2} required value={down} onChange={(event) => setDown(event.currentTarget.value)} />
            </>
          )}
          {save.error !== null && <Trouble error={save.error} />}
          {preview.error !== null && <Trouble error={preview.error} />}
          <div role="status">{preview.data !== undefined && <Previewed preview={preview.data} />}</div>
          <Group justify="space-between">
            <Button variant="default" size="xs" loading={preview.isPending} onClick={() => preview.mutate()}>{words.preview}</Button>
            <Button type="submit" size="xs" loading={save.isPending}>{mute === null ? words.set : words.save}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Previewed({ preview }: { preview: MutePreview }) {
  return (
    <>
      <p style={{ margin: 0 }}>{t.mutes.form.previewed(preview.matched, preview.looked_at)}</p>
      <ul>{preview.items.slice(0, 10).map((one) => <li key={one.id}><SeverityMark severity={one.severity} /> {one.number} {one.title}</li>)}</ul>
    </>
  );
}
