// API keys: made with scopes and an expiry, the secret shown once, revoked at once.
import { Button, Checkbox, Group, Modal, Select, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../api/client";
import { keysQuery } from "../api/queries";
import type { ApiKey, NewApiKey } from "../api/types";
import { dateTime } from "../lib/format";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconPlus } from "../ui/icons";
import { Ago, Command, Empty, Lines, Notice, PageHead, Panel, Trouble } from "../ui/parts";
import tables from "../ui/table.module.css";
import { exampleRequest } from "./FirstSteps";

const NOT_FOR_KEYS = new Set(["platform:admin", "tenants:write"]);
const USUAL_SCOPES = ["exceptions:write"];
const LIFETIMES = ["30", "90", "365", ""] as const;
const DAY_MS = 86_400_000;

export function Keys() {
  const tenant = useTenant();
  const mayWrite = useMay("keys:write");
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(keysQuery(tenant.id));
  const [making, dialog] = useDisclosure(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const keys = data?.pages.flatMap((page) => page.items);
  return (
    <>
      <title>{t.pageTitle(t.nav.keys)}</title>
      <PageHead title={t.nav.keys}>
        {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={dialog.open}>{t.keys.make}</Button>}
      </PageHead>
      {error !== null && keys === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {keys === undefined && error === null && <Panel><Lines rows={4} /></Panel>}
      {keys?.length === 0 && (
        <Panel>
          <Empty title={t.keys.none}><p>{t.keys.noneText}</p></Empty>
        </Panel>
      )}
      {keys !== undefined && keys.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead>
              <tr><th>{t.keys.name}</th><th>{t.keys.prefix}</th><th>{t.keys.scopes}</th><th>{t.keys.used}</th><th>{t.keys.expires}</th><th><span className="visually-hidden">{t.keys.revoke}</span></th></tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <tr key={key.id}>
                  <td data-label={t.keys.name}>{key.name}</td>
                  <td data-label={t.keys.prefix}><code>ftl_{key.prefix}…</code></td>
                  <td data-label={t.keys.scopes}>{key.scopes.join(", ")}</td>
                  <td data-label={t.keys.used}>{key.last_used_at === null ? t.keys.neverUsed : <Ago at={key.last_used_at} />}</td>
                  <td data-label={t.keys.expires}>{key.expires_at === null ? t.keys.never : dateTime(key.expires_at)}</td>
                  <td data-figures>{mayWrite && <Button size="compact-xs" variant="default" onClick={() => setRevoking(key)} aria-label={t.keys.revokeName(key.name)}>{t.keys.revoke}</Button>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      )}
      {hasNextPage && <Button mt="sm" size="xs" variant="default" onClick={() => void fetchNextPage()} loading={isFetchingNextPage}>{t.common.more}</Button>}
      {making && <MakeKey onClose={dialog.close} />}
      {revoking !== null && <Revoke apiKey={revoking} onClose={() => setRevoking(null)} />}
    </>
  );
}

function MakeKey({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(USUAL_SCOPES.filter((scope) => tenant.permissions.has(scope)));
  const [days, setDays] = useState<string>("90");
  const offered = [...tenant.permissions].filter((permission) => !NOT_FOR_KEYS.has(permission)).sort();
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
    <Modal opened onClose={onClose} title={t.keys.make} size="lg" closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate();
        }}
      >
        <Stack gap="md">
          <TextInput label={t.keys.name} description={t.keys.nameHelp} required maxLength={200} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Checkbox.Group label={t.keys.scopes} description={t.keys.scopesHelp} value={scopes} onChange={setScopes} required>
            <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(11rem, 1fr))", gap: "0.5rem", marginTop: "0.6rem" }}>
              {offered.map((scope) => <Checkbox key={scope} value={scope} label={scope} size="xs" />)}
            </div>
          </Checkbox.Group>
          <Select
            label={t.keys.expires} value={days} onChange={(value) => setDays(value ?? "")} allowDeselect={false}
            data={LIFETIMES.map((value) => ({ value, label: t.keys.lifetime(value) }))}
          />
          {make.error !== null && <Trouble error={make.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={make.isPending} disabled={name.trim() === "" || scopes.length === 0}>{t.keys.make}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
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
    <Modal opened onClose={onClose} title={t.keys.revokeName(apiKey.name)} closeButtonProps={{ "aria-label": t.common.close }}>
      <Stack gap="sm">
        <p style={{ margin: 0 }}>{t.keys.revokeText}</p>
        {revoke.error !== null && <Trouble error={revoke.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus>{t.common.cancel}</Button>
          <Button color="red" onClick={() => revoke.mutate()} loading={revoke.isPending}>{t.keys.revoke}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
