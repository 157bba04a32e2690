// A channel as a form: the guide of its kind, its fields, its secrets, which go into the tenant's sealed secrets under a name of their own.
import { NativeSelect, PasswordInput, Switch, TagsInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { request } from "../../api/client";
import { CHANNEL_KINDS, escalationKey, type Channel, type ChannelKind } from "../../api/escalation";
import { faultOf } from "../../api/problem";
import type { Json } from "../../api/types";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FormDialog } from "../../ui/FormDialog";
import { Command } from "../../ui/parts";
import { tellWithUndo } from "../../ui/undo";
import classes from "./OnCall.module.css";

type Field = { name: string; kind: "secret" | "text" | "list"; needed: boolean };

const FIELDS: Record<ChannelKind, readonly Field[]> = {
  slack: [{ name: "url_secret", kind: "secret", needed: true }, { name: "signing_secret", kind: "secret", needed: false }],
  teams: [{ name: "url_secret", kind: "secret", needed: true }],
  pagerduty: [{ name: "routing_key_secret", kind: "secret", needed: true }, { name: "webhook_secret", kind: "secret", needed: false }],
  email: [{ name: "to", kind: "list", needed: false }],
  sendgrid: [{ name: "api_key_secret", kind: "secret", needed: true }, { name: "sender", kind: "text", needed: true }, { name: "to", kind: "list", needed: false }],
  webhook: [{ name: "url", kind: "text", needed: true }, { name: "signing_secret", kind: "secret", needed: true }],
  sms: [{ name: "to", kind: "list", needed: false }],
};

interface EditChannelProps {
  channel: Channel | null;
  onClose: () => void;
  onMade: (channel: Channel) => void;
}

export function EditChannel({ channel, onClose, onMade }: EditChannelProps) {
  const tenant = useTenant();
  const client = useQueryClient();
  const maySecrets = useMay("tools:write");
  const [kind, setKind] = useState<ChannelKind>(channel?.kind ?? "slack");
  const [name, setName] = useState(channel?.name ?? "");
  const [enabled, setEnabled] = useState(channel?.enabled ?? true);
  const [document, setDocument] = useState<Record<string, Json>>(channel?.document ?? {});
  const [secrets, setSecrets] = useState<Record<string, string>>({});
  const fields = FIELDS[kind];
  const save = useMutation({
    mutationFn: async () => {
      const settings: Record<string, Json> = { kind, ...(channel === null ? {} : document) };
      for (const field of fields) {
        if (field.kind !== "secret") {
          const value = document[field.name];
          if (value !== undefined && value !== "") settings[field.name] = value;
          continue;
        }
        const value = secrets[field.name] ?? "";
        const known = document[field.name];
        if (value === "") {
          if (typeof known === "string") settings[field.name] = known;
          continue;
        }
        const secret = typeof known === "string" ? known : secretName(name, field.name);
        await request(`secrets/${encodeURIComponent(secret)}`, { method: "PUT", tenantId: tenant.id, body: { value } });
        settings[field.name] = secret;
      }
      const body = { name: name.trim(), enabled, settings };
      return channel === null
        ? request<Channel>("escalation/channels", { method: "POST", tenantId: tenant.id, body })
        : request<Channel>(`escalation/channels/${channel.id}`, { method: "PUT", tenantId: tenant.id, body: { ...body, version: channel.version } });
    },
    onSuccess: async (kept) => {
      const refresh = () => client.invalidateQueries({ queryKey: escalationKey(tenant.id) });
      await refresh();
      if (channel === null) {
        notifications.show({ message: t.channels.saved(kept.name) });
        onMade(kept);
        return;
      }
      tellWithUndo(t.channels.saved(kept.name), async () => {
        const before = { name: channel.name, enabled: channel.enabled, settings: { kind: channel.kind, ...channel.document }, version: kept.version };
        await request(`escalation/channels/${kept.id}`, { method: "PUT", tenantId: tenant.id, body: before });
        await refresh();
      });
      onClose();
    },
  });
  const put = (field: string, value: Json) => setDocument((before) => ({ ...before, [field]: value }));
  return (
    <FormDialog
      title={channel === null ? t.channels.add : t.channels.editNamed(channel.name)} size="lg" disabled={name.trim() === ""}
      pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}
    >
      <NativeSelect
        label={t.channels.kind} disabled={channel !== null} value={kind} data={CHANNEL_KINDS.map((value) => ({ value, label: t.channels.kinds[value] }))} data-autofocus={channel === null || undefined}
        onChange={(event) => { setKind(event.currentTarget.value as ChannelKind); setDocument({}); setSecrets({}); }}
      />
      <ol className={classes["guide"]}>{(t.channels.guide[kind] ?? []).map((line) => <li key={line}>{line}</li>)}</ol>
      {channel?.callback != null && (
        <div>
          <p className={classes["soft"]}>{t.channels.callback}. {t.channels.callbackHelp}</p>
          <Command>{`${window.location.origin}${channel.callback}`}</Command>
        </div>
      )}
      <TextInput label={t.channels.name} required maxLength={120} value={name} error={faultOf(save.error, "/name")} onChange={(event) => setName(event.currentTarget.value)} />
      {fields.map((field) => (
        <FieldInput
          key={`${kind} ${field.name}`} field={field} value={document[field.name]} secret={secrets[field.name] ?? ""} maySecrets={maySecrets} error={faultOf(save.error, `/settings/${field.name}`)}
          onValue={(value) => put(field.name, value)} onSecret={(value) => setSecrets((before) => ({ ...before, [field.name]: value }))}
        />
      ))}
      <Switch label={t.channels.enabled} checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />
    </FormDialog>
  );
}

interface FieldInputProps {
  field: Field;
  value: Json | undefined;
  secret: string;
  maySecrets: boolean;
  error: string | undefined;
  onValue: (value: Json) => void;
  onSecret: (value: string) => void;
}

function FieldInput({ field, value, secret, maySecrets, error, onValue, onSecret }: FieldInputProps) {
  const label = `${t.channels.fields[field.name] ?? field.name}${field.needed ? "" : t.channels.optional}`;
  if (field.kind === "list") {
    const items = Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
    return <TagsInput label={label} description={t.channels.toHelp} maxTags={50} value={items} onChange={onValue} error={error} />;
  }
  if (field.kind === "text") {
    return <TextInput label={label} required={field.needed} maxLength={2_000} value={typeof value === "string" ? value : ""} onChange={(event) => onValue(event.currentTarget.value)} error={error} />;
  }
  const known = typeof value === "string" ? value : null;
  const description = maySecrets ? (known === null ? t.channels.secretNew : t.channels.secretSet(known)) : t.channels.mayNotSet;
  return (
    <PasswordInput
      size="sm" label={label} description={description} required={field.needed && known === null} autoComplete="off" maxLength={20_000} disabled={!maySecrets}
      value={secret} onChange={(event) => onSecret(event.currentTarget.value)} error={error}
    />
  );
}

/* Names of secrets are short and plain; the end keeps two channels of one name apart. */
function secretName(channel: string, field: string): string {
  const plain = channel.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  const end = Array.from(crypto.getRandomValues(new Uint8Array(3)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `channel-${plain === "" ? "" : `${plain}-`}${field.replace(/_secret$/, "").replaceAll("_", "-")}-${end}`;
}
