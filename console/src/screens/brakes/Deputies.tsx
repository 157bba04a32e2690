// Deputies: who decides approvals in whose place, from when to when, and why.
import { Button, Group, Modal, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { delegationsQuery, type Delegation } from "../../api/brakes";
import { request } from "../../api/client";
import { peopleQuery } from "../../api/incidentWork";
import { actorName } from "../../lib/actors";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Trouble } from "../../ui/parts";

export function Deputies() {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayDecide = useMay("approvals:decide");
  const list = useInfiniteQuery(delegationsQuery(tenant.id));
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<Delegation | null>(null);
  const end = useMutation({
    mutationFn: (one: Delegation) => request(`delegations/${one.id}/end`, { method: "POST", tenantId: tenant.id }),
    onSuccess: async () => {
      notifications.show({ message: t.deputies.ended });
      setEnding(null);
      await client.invalidateQueries({ queryKey: [tenant.id, "delegations"] });
    },
  });
  return (
    <>
      {mayDecide && <Group mb="sm"><Button size="xs" variant="default" onClick={() => setAdding(true)}>{t.deputies.add}</Button></Group>}
      <Listing
        list={list} empty={<Empty title={t.deputies.none}><p>{t.deputies.noneText}</p></Empty>}
        columns={[t.deputies.who, t.deputies.to, t.deputies.from, t.deputies.until, t.deputies.reason, t.deputies.state, unseen(t.deputies.end)]}
        row={(one) => (
          <>
            <td>{actorName(one.from_name, "user:")}</td>
            <td data-label={t.deputies.to}>{actorName(one.to_name, "user:")}</td>
            <td data-label={t.deputies.from}><Ago at={one.begins_at} /></td>
            <td data-label={t.deputies.until}><Ago at={one.ends_at} /></td>
            <td data-label={t.deputies.reason}>{one.reason}</td>
            <td data-label={t.deputies.state}><Tag tone={one.is_active ? "good" : "quiet"}>{one.is_active ? t.deputies.active : t.deputies.over}</Tag></td>
            <td data-figures>
              {mayDecide && one.is_active && <Button size="compact-xs" variant="default" aria-label={t.deputies.endName(actorName(one.from_name, "user:"))} onClick={() => { end.reset(); setEnding(one); }}>{t.deputies.end}</Button>}
            </td>
          </>
        )}
      />
      {adding && <NewDeputy onClose={() => setAdding(false)} />}
      {ending !== null && (
        <Confirm title={t.deputies.endName(actorName(ending.from_name, "user:"))} confirm={t.deputies.end} danger pending={end.isPending} error={end.error} onClose={() => setEnding(null)} onConfirm={() => end.mutate(ending)}>
          <p style={{ margin: 0 }}>{t.deputies.endText}</p>
        </Confirm>
      )}
    </>
  );
}

function NewDeputy({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayAppoint = useMay("users:write");
  const people = useQuery(peopleQuery(tenant.id));
  const [from, setFrom] = useState<string | null>(null);
  const [to, setTo] = useState<string | null>(null);
  const [begins, setBegins] = useState("");
  const [ends, setEnds] = useState("");
  const [reason, setReason] = useState("");
  const add = useMutation({
    mutationFn: () =>
      request("delegations", {
        method: "POST", tenantId: tenant.id,
        body: { from_user: from, to_user: to, begins_at: new Date(begins).toISOString(), ends_at: new Date(ends).toISOString(), reason: reason.trim() },
      }),
    onSuccess: async () => {
      notifications.show({ message: t.deputies.done });
      await client.invalidateQueries({ queryKey: [tenant.id, "delegations"] });
      onClose();
    },
  });
  const known = (people.data ?? []).map((person) => ({ value: person.id, label: person.name }));
  const ready = to !== null && begins !== "" && ends !== "" && reason.trim() !== "";
  return (
    <Modal opened onClose={onClose} title={t.deputies.add} closeButtonProps={{ "aria-label": t.common.close }}>
      <form onSubmit={(event) => { event.preventDefault(); if (ready) add.mutate(); }}>
        <Stack gap="sm">
          <p style={{ margin: 0 }}>{t.deputies.addText}</p>
          {mayAppoint && <Select label={t.deputies.who} searchable clearable data={known} value={from} onChange={setFrom} />}
          <Select label={t.deputies.to} searchable required data={known} value={to} onChange={setTo} />
          <TextInput type="datetime-local" label={t.deputies.from} required value={begins} onChange={(event) => setBegins(event.currentTarget.value)} />
          <TextInput type="datetime-local" label={t.deputies.until} required value={ends} onChange={(event) => setEnds(event.currentTarget.value)} />
          <Textarea label={t.deputies.reason} required autosize minRows={2} maxLength={1000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          {add.error !== null && <Trouble error={add.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={add.isPending} disabled={!ready}>{t.deputies.add}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
