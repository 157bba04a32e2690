// API keys: made with scopes and an expiry, the secret shown once, rotated with an overlap, revoked at once.
import { Button, Checkbox, Group, Modal, NumberInput, Select, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { faultOf } from "../../api/problem";
import { keysQuery } from "../../api/queries";
import type { ApiKey, NewApiKey } from "../../api/types";
import { dateTime, words } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconPlus } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Command, Empty, Notice, PageHead } from "../../ui/parts";
import { exampleRequest } from "../FirstSteps";
import classes from "./Settings.module.css";

const NOT_FOR_KEYS = new Set(["platform:admin", "tenants:write"]);
const USUAL_SCOPES = ["exceptions:write"];
const LIFETIMES = ["30", "90", "365", ""] as const;
const DAY_MS = 86_400_000;
const USUAL_OVERLAP_HOURS = 24;
const MOST_OVERLAP_HOURS = 720;
const TONES: Record<string, "waiting" | "person" | "moving" | "quiet"> = { expiring: "waiting", expired: "person", rotating: "moving", revoked: "quiet" };

type Doing = { what: "edit" | "rotate" | "revoke"; key: ApiKey } | { what: "make" };

export function Keys() {
  const tenant = useTenant();
  const mayWrite = useMay("keys:write");
  const list = useInfiniteQuery(keysQuery(tenant.id));
  const [doing, setDoing] = useState<Doing | null>(null);
  const stop = () => setDoing(null);
  return (
    <>
      <title>{t.pageTitle(t.nav.keys)}</title>
      <PageHead title={t.nav.keys}>
        {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setDoing({ what: "make" })}>{t.keys.make}</Button>}
      </PageHead>
      <Listing
        list={list} columns={[t.keys.name, t.keys.prefix, t.keys.scopes, t.keys.used, t.keys.expires, unseen(t.common.actions)]}
        empty={<Empty title={t.keys.none}><p>{t.keys.noneText}</p></Empty>}
        row={(key) => (
          <>
            <td data-label={t.keys.name}>
              <div>{key.name}{key.state !== "active" && <> <Tag tone={TONES[key.state] ?? "waiting"}>{t.keys.state[key.state] ?? words(key.state)}</Tag></>}</div>
            </td>
            <td data-label={t.keys.prefix}>
              <div>
                <code>ftl_{key.prefix}…</code>
                {key.old_until !== null && <div className={classes["soft"]}>{t.keys.oldUntil(dateTime(key.old_until))}</div>}
              </div>
            </td>
            <td data-label={t.keys.scopes}>{key.scopes.join(", ")}</td>
            <td data-label={t.keys.used}>{key.last_used_at === null ? t.keys.neverUsed : <Ago at={key.last_used_at} />}</td>
            <td data-label={t.keys.expires}>{key.expires_at === null ? t.keys.never : dateTime(key.expires_at)}</td>
            <td data-figures>
              {mayWrite && (
                <div className={classes["buttons"]}>
                  <Button size="compact-xs" variant="default" onClick={() => setDoing({ what: "edit", key })} aria-label={t.keys.editName(key.name)}>{t.roles.edit}</Button>
                  <Button size="compact-xs" variant="default" onClick={() => setDoing({ what: "rotate", key })} aria-label={t.keys.rotateName(key.name)}>{t.keys.rotate}</Button>
                  <Button size="compact-xs" variant="default" onClick={() => setDoing({ what: "revoke", key })} aria-label={t.keys.revokeName(key.name)}>{t.keys.revoke}</Button>
                </div>
              )}
            </td>
          </>
        )}
      />
      {doing?.what === "make" && <MakeKey onClose={stop} />}
      {doing?.what === "edit" && <EditKey apiKey={doing.key} onClose={stop} />}
      {doing?.what === "rotate" && <Rotate apiKey={doing.key} onClose={stop} />}
      {doing?.what === "revoke" && <Revoke apiKey={doing.key} onClose={stop} />}
    </>
  );
}

function Scopes({ value, onChange }: { value: string[]; onChange: (value: string[]) => void }) {
  const tenant = useTenant();
  const mine = [...tenant.permissions].filter((permission) => !NOT_FOR_KEYS.has(permission));
  const offered = [...new Set([...mine, ...value])].sort();
  return (
    <Checkbox.Group label={t.keys.scopes} description={t.keys.scopesHelp} value={value} onChange={onChange} required>
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(11rem, 1fr))", gap: "0.5rem", marginTop: "0.6rem" }}>
        {offered.map((scope) => <Checkbox key={scope} value={scope} label={scope} size="xs" />)}
      </div>
    </Checkbox.Group>
  );
}

function MakeKey({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(USUAL_SCOPES.filter((scope) => tenant.permissions.has(scope)));
  const [days, setDays] = useState<string>("90");
  const make = useMutation({
    mutationFn: () =>
      request<NewApiKey>("api-keys", {
        method: "POST", tenantId: tenant.id,
        body: { name: name.trim(), scopes, expires_at: days === "" ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString() },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "api-keys"] }),
  });
  if (make.data !== undefined) return <Secret apiKey={make.data} onClose={onClose} />;
  return (
    <FormDialog size="lg" gap="md" title={t.keys.make} confirm={t.keys.make} disabled={name.trim() === "" || scopes.length === 0} pending={make.isPending} error={make.error} onClose={onClose} onSubmit={() => make.mutate()}>
      <TextInput label={t.keys.name} description={t.keys.nameHelp} required maxLength={200} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <Scopes value={scopes} onChange={setScopes} />
      <Select
        label={t.keys.expires} value={days} onChange={(value) => setDays(value ?? "")} allowDeselect={false}
        data={LIFETIMES.map((value) => ({ value, label: t.keys.lifetime(value) }))}
      />
    </FormDialog>
  );
}

function EditKey({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState(apiKey.name);
  const [scopes, setScopes] = useState(apiKey.scopes);
  const save = useMutation({
    mutationFn: () => request(`api-keys/${apiKey.id}`, { method: "PATCH", tenantId: tenant.id, body: { name: name.trim(), scopes } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "api-keys"] });
      onClose();
    },
  });
  return (
    <FormDialog size="lg" gap="md" title={t.keys.editName(apiKey.name)} disabled={name.trim() === "" || scopes.length === 0} pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}>
      <TextInput label={t.keys.name} required maxLength={200} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <Scopes value={scopes} onChange={setScopes} />
    </FormDialog>
  );
}

function Rotate({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [hours, setHours] = useState<number | string>(USUAL_OVERLAP_HOURS);
  const rotate = useMutation({
    mutationFn: () => request<NewApiKey>(`api-keys/${apiKey.id}/rotate`, { method: "POST", tenantId: tenant.id, body: { overlap_hours: Number(hours) } }),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "api-keys"] }),
  });
  if (rotate.data !== undefined) return <Secret apiKey={rotate.data} onClose={onClose} />;
  return (
    <FormDialog size="lg" gap="md" title={t.keys.rotateName(apiKey.name)} confirm={t.keys.rotate} disabled={hours === ""} pending={rotate.isPending} error={rotate.error} onClose={onClose} onSubmit={() => rotate.mutate()}>
      <p style={{ margin: 0 }}>{t.keys.rotateText}</p>
      <NumberInput label={t.keys.overlap} min={0} max={MOST_OVERLAP_HOURS} value={hours} onChange={setHours} data-autofocus error={faultOf(rotate.error, "/overlap_hours")} />
    </FormDialog>
  );
}

function Secret({ apiKey, onClose }: { apiKey: NewApiKey; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={t.keys.made(apiKey.name)} size="lg" closeOnClickOutside={false} closeOnEscape={false} withCloseButton={false}>
      <Stack gap="sm">
        <Notice title={t.keys.once}>{t.keys.onceText}</Notice>
        <Command>{apiKey.secret}</Command>
        <p style={{ margin: 0 }}>{t.keys.tryIt}</p>
        <Command>{`export FETTLE_API_KEY=${apiKey.secret}\n${exampleRequest(window.location.origin)}`}</Command>
        <Group justify="flex-end"><Button onClick={onClose} data-autofocus>{t.keys.kept}</Button></Group>
      </Stack>
    </Modal>
  );
}

function Revoke({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => request<undefined>(`api-keys/${apiKey.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "api-keys"] });
      notifications.show({ message: t.keys.revoked(apiKey.name) });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.keys.revokeName(apiKey.name)} consequence={t.keys.revokeText} confirm={t.keys.revoke}
      pending={revoke.isPending} error={revoke.error} onClose={onClose} onConfirm={() => revoke.mutate()}
    />
  );
}
