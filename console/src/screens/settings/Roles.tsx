// Every permission and who has it: the built-in roles, the tenant's own, and the editor of those.
import { Button, Checkbox, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { RoleItem, RolesAndPermissions } from "../../api/identity";
import { rolesQuery } from "../../api/identityQueries";
import { faultOf } from "../../api/problem";
import { words } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconCheck, IconPlus } from "../../ui/icons";
import { Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

export function Roles() {
  const tenant = useTenant();
  const mayWrite = useMay("users:write");
  const { data, error, refetch } = useQuery(rolesQuery(tenant.id));
  const [editing, setEditing] = useState<RoleItem | "new" | null>(null);
  const [deleting, setDeleting] = useState<RoleItem | null>(null);
  const own = data?.roles.filter((role) => !role.builtin) ?? [];
  return (
    <>
      <title>{t.pageTitle(t.settings.roles)}</title>
      <PageHead title={t.settings.roles}>
        {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.roles.make}</Button>}
      </PageHead>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={10} /></Panel>}
      {data !== undefined && (
        <>
          <Panel title={t.roles.own}>
            {own.length === 0 ? (
              <p className={classes["soft"]} style={{ margin: 0 }}>{t.roles.noneOwn}</p>
            ) : (
              <ul className={classes["rows"]}>
                {own.map((role) => (
                  <li key={role.name}>
                    <div className={classes["grow"]}><p>{words(role.name)}</p><p className={classes["soft"]}>{role.description} {t.roles.count(role.permissions.length)}</p></div>
                    {mayWrite && (
                      <>
                        <Button size="compact-xs" variant="default" onClick={() => setEditing(role)} aria-label={t.roles.editNamed(role.name)}>{t.roles.edit}</Button>
                        <Button size="compact-xs" variant="default" onClick={() => setDeleting(role)} aria-label={t.roles.deleteNamed(role.name)}>{t.roles.delete}</Button>
                      </>
                    )}
                  </li>
                ))}
              </ul>
            )}
          </Panel>
          <Panel title={t.roles.matrix} flush><Matrix data={data} /></Panel>
        </>
      )}
      {editing !== null && data !== undefined && <EditRole role={editing === "new" ? null : editing} data={data} onClose={() => setEditing(null)} />}
      {deleting !== null && <DeleteRole role={deleting} onClose={() => setDeleting(null)} />}
    </>
  );
}

function Matrix({ data }: { data: RolesAndPermissions }) {
  return (
    <table className={classes["matrix"]} tabIndex={0}>
      <caption className="visually-hidden">{t.roles.matrix}</caption>
      <thead>
        <tr>
          <th scope="col" style={{ textAlign: "left" }}>{t.roles.permission}</th>
          {data.roles.map((role) => <th key={role.name} scope="col" title={role.description}>{words(role.name)}</th>)}
        </tr>
      </thead>
      <tbody>
        {data.permissions.map((permission) => (
          <tr key={permission.name}>
            <th scope="row"><code>{permission.name}</code><span>{permission.description}</span></th>
            {data.roles.map((role) => (
              <td key={role.name}>
                {role.permissions.includes(permission.name)
                  ? <span className={classes["yes"]}><IconCheck /><span className="visually-hidden">{t.roles.yes}</span></span>
                  : <span className={classes["no"]}><span aria-hidden="true">·</span><span className="visually-hidden">{t.roles.no}</span></span>}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function EditRole({ role, data, onClose }: { role: RoleItem | null; data: RolesAndPermissions; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState(role?.name ?? "");
  const [description, setDescription] = useState(role?.description ?? "");
  const [permissions, setPermissions] = useState<string[]>(role?.permissions ?? []);
  const save = useMutation({
    mutationFn: () => {
      const definition = { description: description.trim(), permissions };
      if (role === null) return request("roles", { method: "POST", tenantId: tenant.id, body: { name: name.trim(), ...definition } });
      return request(`roles/${encodeURIComponent(role.name)}`, { method: "PUT", tenantId: tenant.id, body: definition });
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "roles"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={role === null ? t.roles.make : t.roles.editNamed(role.name)} size="xl" disabled={name.trim() === "" || permissions.length === 0}
      pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}
    >
      {role === null && (
        <TextInput
          label={t.users.name} description={t.roles.nameHelp} required maxLength={63} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)}
          error={faultOf(save.error, "/name")}
        />
      )}
      <Textarea label={t.roles.description} maxLength={500} autosize value={description} onChange={(event) => setDescription(event.currentTarget.value)} />
      <Checkbox.Group label={t.roles.permissions} description={t.keys.scopesHelp} value={permissions} onChange={setPermissions}>
        <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(17rem, 1fr))", gap: "0.6rem", marginTop: "0.6rem" }}>
          {data.permissions.map((permission) => (
            <Checkbox
              key={permission.name} value={permission.name} label={permission.name} description={permission.description} size="xs"
              disabled={!tenant.permissions.has(permission.name)}
            />
          ))}
        </div>
      </Checkbox.Group>
    </FormDialog>
  );
}

function DeleteRole({ role, onClose }: { role: RoleItem; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => request(`roles/${encodeURIComponent(role.name)}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "roles"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.roles.deleteNamed(role.name)} consequence={t.roles.deleteText} confirm={t.roles.delete}
      pending={remove.isPending} error={remove.error} onClose={onClose} onConfirm={() => remove.mutate()}
    />
  );
}
