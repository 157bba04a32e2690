// The tools of this installation, switched on and off for the tenant, and the tenant's secrets.
import { Button, PasswordInput, Switch, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Tool } from "../api/authoring";
import { secretsQuery, toolsQuery } from "../api/authoringQueries";
import { request } from "../api/client";
import { useAddressText } from "../lib/search";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Confirm } from "../ui/Confirm";
import { FormDialog } from "../ui/FormDialog";
import { IconPlus, IconSearch } from "../ui/icons";
import { Tag } from "../ui/marks";
import { Ago, Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import { tellWithUndo } from "../ui/undo";
import classes from "../ui/authoring.module.css";
import tables from "../ui/table.module.css";

export function Tools() {
  const tenant = useTenant();
  const [text, setText] = useAddressText("q");
  const { data, error, refetch } = useQuery(toolsQuery(tenant.id));
  const wanted = text.trim().toLowerCase();
  const shown = data?.items.filter((tool) => `${tool.name} ${tool.title} ${tool.description}`.toLowerCase().includes(wanted));
  return (
    <>
      <title>{t.pageTitle(t.tools.title)}</title>
      <PageHead title={t.tools.title}>
        <TextInput
          size="xs" type="search" placeholder={t.tools.search} aria-label={t.tools.search} leftSection={<IconSearch width="0.95rem" />}
          value={text} onChange={(event) => setText(event.currentTarget.value)}
        />
      </PageHead>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={6} /></Panel>}
      {shown !== undefined && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead><tr><th>{t.tools.tool}</th><th>{t.tools.repeatable}</th><th>{t.tools.dryRuns}</th><th>{t.tools.enabled}</th></tr></thead>
            <tbody>
              {shown.map((tool) => (
                <tr key={`${tool.name} ${tool.version}`}>
                  <td><Link to="/t/$tenant/tools/$toolName" params={{ tenant: tenant.slug, toolName: tool.name }}><code>{tool.name}</code></Link> {tool.title}</td>
                  <td data-label={t.tools.repeatable}>{tool.idempotent ? t.playbooks.yes : t.playbooks.no}</td>
                  <td data-label={t.tools.dryRuns}>{tool.supports_dry_run ? t.playbooks.yes : t.playbooks.no}</td>
                  <td data-label={t.tools.enabled}><ToolSwitch tool={tool} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      )}
      <Secrets />
    </>
  );
}

function ToolSwitch({ tool }: { tool: Tool }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("tools:write");
  const put = async (enabled: boolean) => {
    await request(`tools/${encodeURIComponent(tool.name)}`, { method: "PATCH", tenantId: tenant.id, body: { enabled } });
    await client.invalidateQueries({ queryKey: [tenant.id, "tools"] });
  };
  const turn = useMutation({ mutationFn: put, onSuccess: (_answer, enabled) => tellWithUndo(t.tools.switched(tool.name, enabled), () => put(!enabled)) });
  if (!mayWrite) return <Tag tone={tool.enabled ? "good" : "quiet"}>{tool.enabled ? t.rules.on : t.rules.off}</Tag>;
  return (
    <>
      <Switch size="xs" checked={turn.isPending ? turn.variables : tool.enabled} disabled={turn.isPending} aria-label={t.tools.enabledName(tool.name)} onChange={(event) => turn.mutate(event.currentTarget.checked)} />
      {turn.error !== null && <Trouble error={turn.error} />}
    </>
  );
}

function Secrets() {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("tools:write");
  const { data, error, refetch } = useQuery(secretsQuery(tenant.id));
  const [setting, setSetting] = useState(false);
  const [removing, setRemoving] = useState<string | null>(null);
  const remove = useMutation({
    mutationFn: (name: string) => request(`secrets/${encodeURIComponent(name)}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async (_answer, name) => {
      await client.invalidateQueries({ queryKey: [tenant.id, "secrets"] });
      notifications.show({ message: t.tools.removed(name) });
      setRemoving(null);
    },
  });
  return (
    <Panel
      title={t.tools.secrets} flush style={{ marginTop: "1rem" }}
      aside={mayWrite && <Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} onClick={() => setSetting(true)}>{t.tools.setSecret}</Button>}
    >
      <p className={classes["soft"]} style={{ padding: "0 1rem" }}>{t.tools.secretsHelp}</p>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data?.items.length === 0 && <Empty title={t.tools.noSecrets}><p>{t.tools.noSecretsText}</p></Empty>}
      {data !== undefined && data.items.length > 0 && (
        <table className={tables["table"]}>
          <thead><tr><th>{t.tools.secret}</th><th>{t.tools.setAt}</th><th>{t.tools.setBy}</th><th><span className="visually-hidden">{t.tools.remove}</span></th></tr></thead>
          <tbody>
            {data.items.map((secret) => (
              <tr key={secret.name}>
                <td data-label={t.tools.secret}><code>{secret.name}</code></td>
                <td data-label={t.tools.setAt}><Ago at={secret.updated_at} /></td>
                <td data-label={t.tools.setBy}>{secret.updated_by}</td>
                <td data-figures>{mayWrite && <Button size="compact-xs" variant="default" aria-label={t.tools.removeName(secret.name)} onClick={() => setRemoving(secret.name)}>{t.tools.remove}</Button>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {setting && <SetSecret onClose={() => setSetting(false)} />}
      {removing !== null && (
        <Confirm title={t.tools.removeName(removing)} confirm={t.tools.remove} danger pending={remove.isPending} error={remove.error} onClose={() => setRemoving(null)} onConfirm={() => remove.mutate(removing)}>
          <p style={{ margin: 0 }}>{t.tools.removeText(removing)}</p>
        </Confirm>
      )}
    </Panel>
  );
}

function SetSecret({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const put = useMutation({
    mutationFn: () => request(`secrets/${encodeURIComponent(name.trim())}`, { method: "PUT", tenantId: tenant.id, body: { value } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "secrets"] });
      notifications.show({ message: t.tools.wasSet(name.trim()) });
      onClose();
    },
  });
  return (
    <FormDialog
      title={t.tools.setSecret} confirm={t.tools.setSecret} disabled={name.trim() === "" || value === ""}
      pending={put.isPending} error={put.error} onClose={onClose} onSubmit={() => put.mutate()}
    >
      <p style={{ margin: 0 }}>{t.tools.replaceText}</p>
      <TextInput label={t.tools.secret} description={t.tools.secretNameHelp} required data-autofocus maxLength={100} value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <PasswordInput size="sm" label={t.tools.value} required autoComplete="off" maxLength={20_000} value={value} onChange={(event) => setValue(event.currentTarget.value)} />
    </FormDialog>
  );
}
