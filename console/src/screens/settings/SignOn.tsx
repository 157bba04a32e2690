// How people get into the tenant: what it asks of every sign-in, and the providers of its organisation.
import { Button, Checkbox, Group, NativeSelect, NumberInput, PasswordInput, Switch, TagsInput, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { IdentityProvider, SignInPolicy } from "../../api/identity";
import { providersQuery, rolesQuery, signInPolicyQuery } from "../../api/identityQueries";
import { faultOf } from "../../api/problem";
import { words } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconPlus } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Command, Empty, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

const WAYS = ["password", "passkey", "oidc"] as const;
const LONGEST_SESSION_HOURS = 336;

export function SignOn() {
  const tenant = useTenant();
  const mayWrite = useMay("sign_on:write");
  const policy = useQuery(signInPolicyQuery(tenant.id));
  const list = useInfiniteQuery(providersQuery(tenant.id));
  const [editing, setEditing] = useState<IdentityProvider | "new" | null>(null);
  const [removing, setRemoving] = useState<IdentityProvider | null>(null);
  const [confirming, setConfirming] = useState<IdentityProvider | null>(null);
  const isAdmin = useMay("platform:admin");
  return (
    <>
      <title>{t.pageTitle(t.settings.signOn)}</title>
      <PageHead title={t.settings.signOn} />
      <Panel title={t.signOn.policy}>
        {policy.data !== undefined && <Policy key={JSON.stringify(policy.data)} policy={policy.data} mayWrite={mayWrite} />}
        {policy.data === undefined && (policy.error === null ? <Lines rows={4} /> : <Trouble error={policy.error} onRetry={() => void policy.refetch()} />)}
      </Panel>
      <Listing
        list={list} title={t.signOn.providers} columns={[t.users.name, t.signOn.issuer, t.signOn.domains, unseen(t.common.actions)]}
        aside={mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.signOn.add}</Button>}
        empty={<Empty title={t.signOn.none}><p>{t.signOn.noneText}</p><p>{t.signOn.redirect}</p><Command>{redirectAddress()}</Command></Empty>}
        row={(provider) => (
          <>
            <td data-label={t.users.name}><div>{provider.name} {!provider.enabled && <Tag tone="quiet">{t.signOn.off}</Tag>}</div></td>
            <td data-label={t.signOn.issuer}><code>{provider.issuer}</code></td>
            <td data-label={t.signOn.domains}>
              <div>
                {provider.email_domains.map((domain) => (
                  <div key={domain}>{domain} {!provider.confirmed_domains.includes(domain) && <Tag tone="waiting">{t.signOn.unconfirmed}</Tag>}</div>
                ))}
              </div>
            </td>
            <td data-figures>
              {mayWrite && (
                <div className={classes["buttons"]}>
                  {isAdmin && provider.email_domains.some((domain) => !provider.confirmed_domains.includes(domain)) && (
                    <Button size="compact-xs" onClick={() => setConfirming(provider)} aria-label={t.signOn.confirmOf(provider.name)}>{t.signOn.confirm}</Button>
                  )}
                  <Button size="compact-xs" variant="default" onClick={() => setEditing(provider)} aria-label={t.roles.editNamed(provider.name)}>{t.roles.edit}</Button>
                  <Button size="compact-xs" variant="default" onClick={() => setRemoving(provider)} aria-label={t.security.removeNamed(provider.name)}>{t.security.remove}</Button>
                </div>
              )}
            </td>
          </>
        )}
      />
      {editing !== null && <EditProvider provider={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      {removing !== null && <RemoveProvider provider={removing} onClose={() => setRemoving(null)} />}
      {confirming !== null && <ConfirmDomains provider={confirming} onClose={() => setConfirming(null)} />}
    </>
  );
}

function redirectAddress(): string {
  return `${window.location.origin}/api/v1/auth/oidc/callback`;
}

function Policy({ policy, mayWrite }: { policy: SignInPolicy; mayWrite: boolean }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const [requireMfa, setRequireMfa] = useState(policy.require_mfa);
  const [hours, setHours] = useState<number | string>(policy.session_hours ?? "");
  const [ways, setWays] = useState<string[]>(policy.allowed_sign_in);
  const save = useMutation({
    mutationFn: () =>
      stepUp(() =>
        request(`tenants/${tenant.id}/security`, {
          method: "PUT", tenantId: tenant.id, body: { require_mfa: requireMfa, session_hours: hours === "" ? null : Number(hours), allowed_sign_in: ways },
        }),
      ),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "sign-in-policy"] });
      notifications.show({ message: t.common.saved });
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
      <Switch label={t.signOn.requireMfa} description={t.signOn.requireMfaHelp} checked={requireMfa} disabled={!mayWrite} onChange={(event) => setRequireMfa(event.currentTarget.checked)} />
      <Checkbox.Group label={t.signOn.ways} description={t.signOn.waysHelp} value={ways} onChange={setWays}>
        <Group gap="md" mt="xs">{WAYS.map((way) => <Checkbox key={way} value={way} label={t.signOn.way[way]} disabled={!mayWrite} />)}</Group>
      </Checkbox.Group>
      <NumberInput
        label={t.signOn.hours} description={t.signOn.hoursHelp} min={1} max={LONGEST_SESSION_HOURS} allowDecimal={false} value={hours} onChange={setHours} disabled={!mayWrite}
        error={faultOf(save.error, "/session_hours")} maw="16rem"
      />
      {save.error !== null && <Trouble error={save.error} />}
      {mayWrite && <div><Button type="submit" loading={save.isPending} disabled={ways.length === 0}>{t.common.save}</Button></div>}
    </form>
  );
}

function EditProvider({ provider, onClose }: { provider: IdentityProvider | null; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const roles = useQuery(rolesQuery(tenant.id)).data?.roles.filter((role) => role.name !== "platform_admin") ?? [];
  const [fields, setFields] = useState({
    name: provider?.name ?? "", issuer: provider?.issuer ?? "", client_id: provider?.client_id ?? "", client_secret: "",
    role_claim: provider?.role_claim ?? "", default_role: provider?.default_role ?? "",
    mapping: Object.entries(provider?.role_mapping ?? {}).map(([value, role]) => `${value}=${role}`).join("\n"),
  });
  const [secondFactor, setSecondFactor] = useState(provider?.counts_as_second_factor ?? false);
  const [enabled, setEnabled] = useState(provider?.enabled ?? true);
  const [domains, setDomains] = useState<string[]>(provider?.email_domains ?? []);
  const set = (name: keyof typeof fields) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setFields((before) => ({ ...before, [name]: value }));
  };
  const save = useMutation({
    mutationFn: () =>
      stepUp(() =>
        request(provider === null ? "identity-providers" : `identity-providers/${provider.id}`, {
          method: provider === null ? "POST" : "PATCH", tenantId: tenant.id,
          body: {
            name: fields.name.trim(), issuer: fields.issuer.trim(), client_id: fields.client_id.trim(), email_domains: domains,
            role_claim: fields.role_claim.trim() === "" ? null : fields.role_claim.trim(), role_mapping: mappingOf(fields.mapping),
            default_role: fields.default_role === "" ? null : fields.default_role,
            counts_as_second_factor: secondFactor, enabled, ...(fields.client_secret === "" ? {} : { client_secret: fields.client_secret }),
          },
        }),
      ),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "identity-providers"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={provider === null ? t.signOn.add : t.roles.editNamed(provider.name)} size="lg"
      pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}
    >
      <p className={classes["soft"]} style={{ margin: 0 }}>{t.signOn.redirect}</p>
      <Command>{redirectAddress()}</Command>
      <TextInput label={t.users.name} description={t.signOn.nameHelp} required maxLength={100} data-autofocus value={fields.name} onChange={set("name")} error={faultOf(save.error, "/name")} />
      <TextInput label={t.signOn.issuer} description={t.signOn.issuerHelp} required type="url" value={fields.issuer} onChange={set("issuer")} error={faultOf(save.error, "/issuer")} />
      <TextInput label={t.signOn.clientId} required value={fields.client_id} onChange={set("client_id")} error={faultOf(save.error, "/client_id")} />
      <PasswordInput
        label={t.signOn.clientSecret} description={provider === null ? t.signOn.clientSecretHelp : t.signOn.clientSecretKept} autoComplete="off"
        value={fields.client_secret} onChange={set("client_secret")}
      />
      <TagsInput label={t.signOn.domains} description={t.signOn.domainsHelp} value={domains} onChange={setDomains} error={faultOf(save.error, "/email_domains")} />
      <TextInput label={t.signOn.claim} description={t.signOn.claimHelp} value={fields.role_claim} onChange={set("role_claim")} error={faultOf(save.error, "/role_claim")} />
      <Textarea label={t.signOn.mapping} description={t.signOn.mappingHelp} autosize minRows={2} value={fields.mapping} onChange={set("mapping")} error={faultOf(save.error, "/role_mapping")} />
      <NativeSelect
        label={t.signOn.defaultRole} description={t.signOn.defaultRoleHelp} value={fields.default_role} onChange={set("default_role")}
        data={[{ value: "", label: t.signOn.nobody }, ...roles.map((role) => ({ value: role.name, label: words(role.name) }))]}
      />
      <Switch label={t.signOn.secondFactor} description={t.signOn.secondFactorHelp} checked={secondFactor} onChange={(event) => setSecondFactor(event.currentTarget.checked)} />
      <Switch label={t.signOn.on} checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />
    </FormDialog>
  );
}

/** Lines such as "fettle-operators=operator". */
function mappingOf(text: string): Record<string, string> {
  const pairs = text.split("\n").map((line) => line.split("=").map((part) => part.trim()));
  return Object.fromEntries(pairs.filter((pair) => pair.length === 2 && pair[0] !== "" && pair[1] !== ""));
}

function RemoveProvider({ provider, onClose }: { provider: IdentityProvider; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const remove = useMutation({
    mutationFn: () => stepUp(() => request(`identity-providers/${provider.id}`, { method: "DELETE", tenantId: tenant.id })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "identity-providers"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.security.removeNamed(provider.name)} consequence={t.signOn.removeText} confirm={t.security.remove}
      pending={remove.isPending} error={remove.error} onClose={onClose} onConfirm={() => remove.mutate()}
    />
  );
}

function ConfirmDomains({ provider, onClose }: { provider: IdentityProvider; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const confirm = useMutation({
    mutationFn: () => stepUp(() => request(`identity-providers/${provider.id}/confirm-domains`, { method: "POST", tenantId: tenant.id })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "identity-providers"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.signOn.confirmOf(provider.name)} consequence={t.signOn.confirmText(provider.email_domains, tenant.name)} confirm={t.signOn.confirm} harmless
      pending={confirm.isPending} error={confirm.error} onClose={onClose} onConfirm={() => confirm.mutate()}
    />
  );
}
