// Tenants and the partners that look after them, for those who run several; and the accounts of the installation.
import { Button, Group, NativeSelect, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import type { Account, Partner, TenantItem } from "../../api/identity";
import { accountsQuery, partnersQuery, tenantsQuery } from "../../api/identityQueries";
import { faultOf } from "../../api/problem";
import { meQuery } from "../../api/queries";
import { slugOf } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useMay } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconPlus } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, PageHead } from "../../ui/parts";
import { Partners } from "./Partners";
import classes from "./Settings.module.css";

const TYPING_MS = 250;

export function Tenants() {
  const me = useQuery(meQuery()).data;
  const isAdmin = me?.is_platform_admin ?? false;
  const partners = useInfiniteQuery(partnersQuery());
  const known = partners.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <title>{t.pageTitle(t.settings.tenants)}</title>
      <PageHead title={t.settings.tenants} />
      <TenantList partners={known} isAdmin={isAdmin} />
      {(isAdmin || known.length > 0) && <Partners partners={known} isAdmin={isAdmin} error={partners.error} />}
      {isAdmin && <Accounts />}
    </>
  );
}

function TenantList({ partners, isAdmin }: { partners: Partner[]; isAdmin: boolean }) {
  const mayWrite = useMay("tenants:write");
  const [typed, setTyped] = useState("");
  const [q] = useDebouncedValue(typed.trim(), TYPING_MS);
  const list = useInfiniteQuery(tenantsQuery(q === "" ? {} : { q }));
  const [editing, setEditing] = useState<TenantItem | "new" | null>(null);
  return (
    <>
      <Listing
        list={list} title={t.tenants.tenants} columns={[t.users.name, t.tenants.slug, t.tenants.partner, t.tenants.since, unseen(t.common.actions)]}
        aside={
          <Group gap="xs">
            <TextInput type="search" size="xs" aria-label={t.tenants.search} placeholder={t.tenants.search} value={typed} maxLength={200} onChange={(event) => setTyped(event.currentTarget.value)} />
            {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.tenants.make}</Button>}
          </Group>
        }
        empty={<Empty title={t.tenants.none} />}
        row={(tenant) => (
          <>
            <td data-label={t.users.name}><Link to="/t/$tenant/overview" params={{ tenant: tenant.slug }}>{tenant.name}</Link></td>
            <td data-label={t.tenants.slug}><code>{tenant.slug}</code></td>
            <td data-label={t.tenants.partner}>{partners.find((partner) => partner.id === tenant.partner_id)?.name ?? "–"}</td>
            <td data-label={t.tenants.since}><Ago at={tenant.created_at} /></td>
            <td data-figures>{mayWrite && <Button size="compact-xs" variant="default" onClick={() => setEditing(tenant)} aria-label={t.roles.editNamed(tenant.name)}>{t.roles.edit}</Button>}</td>
          </>
        )}
      />
      {editing !== null && <EditTenant tenant={editing === "new" ? null : editing} partners={partners} isAdmin={isAdmin} onClose={() => setEditing(null)} />}
    </>
  );
}

interface EditTenantProps {
  tenant: TenantItem | null;
  partners: Partner[];
  isAdmin: boolean;
  onClose: () => void;
}

function EditTenant({ tenant, partners, isAdmin, onClose }: EditTenantProps) {
  const client = useQueryClient();
  const [name, setName] = useState(tenant?.name ?? "");
  const [slug, setSlug] = useState("");
  const [partner, setPartner] = useState(tenant?.partner_id ?? (isAdmin ? "" : (partners[0]?.id ?? "")));
  const save = useMutation({
    mutationFn: () => {
      const partnerId = partner === "" ? null : partner;
      if (tenant === null) {
        return request("tenants", { method: "POST", body: { name: name.trim(), slug: slug || slugOf(name), ...(partnerId === null ? {} : { partner_id: partnerId }) } });
      }
      return request(`tenants/${tenant.id}`, { method: "PATCH", body: { name: name.trim(), ...(isAdmin ? { partner_id: partnerId } : {}) } });
    },
    onSuccess: async () => {
      await Promise.all([client.invalidateQueries({ queryKey: ["tenants"] }), client.invalidateQueries({ queryKey: ["me"] })]);
      onClose();
    },
  });
  return (
    <FormDialog
      title={tenant === null ? t.tenants.make : t.roles.editNamed(tenant.name)} disabled={name.trim() === ""}
      pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}
    >
      <TextInput label={t.users.name} required maxLength={200} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} error={faultOf(save.error, "/name")} />
      {tenant === null && (
        <TextInput
          label={t.tenants.slug} description={t.tenants.slugHelp} maxLength={63} value={slug} placeholder={slugOf(name)} onChange={(event) => setSlug(event.currentTarget.value)}
          error={faultOf(save.error, "/slug")}
        />
      )}
      {(isAdmin || (tenant === null && partners.length > 1)) && (
        <NativeSelect
          label={t.tenants.partner} value={partner} onChange={(event) => setPartner(event.currentTarget.value)}
          data={[...(isAdmin ? [{ value: "", label: t.tenants.noPartner }] : []), ...partners.map((one) => ({ value: one.id, label: one.name }))]}
        />
      )}
    </FormDialog>
  );
}

function Accounts() {
  const client = useQueryClient();
  const stepUp = useStepUp();
  const me = useQuery(meQuery()).data;
  const [typed, setTyped] = useState("");
  const [q] = useDebouncedValue(typed.trim(), TYPING_MS);
  const list = useInfiniteQuery(accountsQuery(q === "" ? {} : { q }));
  const [changing, setChanging] = useState<Account | null>(null);
  const [freeing, setFreeing] = useState<Account | null>(null);
  const change = useMutation({
    mutationFn: (account: Account) => stepUp(() => request(`accounts/${account.id}`, { method: "PATCH", body: { disabled: account.disabled_at === null } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["accounts"] });
      setChanging(null);
    },
  });
  return (
    <>
      <Listing
        list={list} title={t.tenants.accounts} columns={[t.users.name, t.tenants.since, unseen(t.common.actions)]} empty={<Empty title={t.users.none} />}
        aside={<TextInput type="search" size="xs" aria-label={t.users.search} placeholder={t.users.search} value={typed} maxLength={200} onChange={(event) => setTyped(event.currentTarget.value)} />}
        row={(account) => (
          <>
            <td data-label={t.users.name}>
              <div>
                {account.name || account.email} {account.is_platform_admin && <Tag tone="plain">{t.profile.admin}</Tag>} {account.disabled_at !== null && <Tag tone="waiting">{t.users.disabled}</Tag>}
                <div className={classes["soft"]}>{account.email}</div>
              </div>
            </td>
            <td data-label={t.tenants.since}><Ago at={account.created_at} /></td>
            <td data-figures>
              {account.id !== me?.id && (
                <div className={classes["buttons"]}>
                  <Button size="compact-xs" variant="default" onClick={() => setFreeing(account)} aria-label={t.tenants.factorsOf(account.email)}>{t.tenants.factors}</Button>
                  <Button size="compact-xs" variant="default" onClick={() => setChanging(account)} aria-label={t.tenants.turn(account.email, account.disabled_at === null)}>
                    {account.disabled_at === null ? t.tenants.disable : t.tenants.enable}
                  </Button>
                </div>
              )}
            </td>
          </>
        )}
      />
      {changing !== null && (
        <ConfirmDialog
          title={t.tenants.turn(changing.email, changing.disabled_at === null)} consequence={changing.disabled_at === null ? t.tenants.disableText : t.tenants.enableText}
          confirm={changing.disabled_at === null ? t.tenants.disable : t.tenants.enable} harmless={changing.disabled_at !== null}
          pending={change.isPending} error={change.error} onClose={() => setChanging(null)} onConfirm={() => change.mutate(changing)}
        />
      )}
      {freeing !== null && <RemoveFactors account={freeing} onClose={() => setFreeing(null)} />}
    </>
  );
}

function RemoveFactors({ account, onClose }: { account: Account; onClose: () => void }) {
  const stepUp = useStepUp();
  const remove = useMutation({
    mutationFn: () => stepUp(() => request(`accounts/${account.id}/second-factors`, { method: "DELETE" })),
    onSuccess: () => {
      notifications.show({ message: t.tenants.factorsRemoved(account.email) });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.tenants.factorsOf(account.email)} consequence={t.tenants.factorsText} confirm={t.tenants.factors}
      pending={remove.isPending} error={remove.error} onClose={onClose} onConfirm={() => remove.mutate()}
    />
  );
}
