// The views that were saved, beside the ones that everybody has; each is an address.
import { ActionIcon, Button, Checkbox, Group, Menu, Modal, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { request } from "../../api/client";
import { viewsKey, viewsQuery, type SavedView } from "../../api/incidentWork";
import { apiQuery, isFiltered, parseSearch, readFilters, sameFilters, type IncidentFilters } from "../../lib/filters";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FormDialog } from "../../ui/FormDialog";
import { IconChevron, IconPlus } from "../../ui/icons";
import { Trouble } from "../../ui/parts";
import classes from "../Incidents.module.css";

interface SavedViewsProps {
  filters: IncidentFilters;
  /** Whether the filters are a view that everybody has. */
  known: boolean;
  onChoose: (filters: IncidentFilters) => void;
}

/* Over visits of incidents and other screens; a view that is gone, or another's, is not offered. */
const chosenLast = new Map<string, string>();

export function filtersOf(view: SavedView): IncidentFilters {
  return readFilters(parseSearch(view.query));
}

export function SavedViews({ filters, known, onChoose }: SavedViewsProps) {
  const tenant = useTenant();
  const views = useQuery(viewsQuery(tenant.id)).data ?? [];
  const current = views.find((view) => sameFilters(filtersOf(view), filters));
  const [saving, setSaving] = useState(false);
  const currentId = current?.id;
  useEffect(() => {
    if (currentId !== undefined) chosenLast.set(tenant.id, currentId);
  }, [tenant.id, currentId]);
  const left = views.find((view) => view.id === chosenLast.get(tenant.id) && view.mine);
  // What everybody has needs no view of its own, but a view may become it.
  const changed = current === undefined && (isFiltered(filters) || filters.sort !== undefined);
  return (
    <>
      {views.length > 0 && (
        <div className={classes["saved"]} role="group" aria-label={t.incidents.viewsLabel}>
          {views.map((view) => (
            <span key={view.id} className={classes["savedOne"]} data-chosen={view === current || undefined}>
              <button
                type="button" aria-pressed={view === current} title={view.mine ? undefined : t.work.views.by(view.owner.name ?? t.work.somebody)}
                onClick={() => onChoose(filtersOf(view))}
              >
                {view.name}
              </button>
              {view === current && <ViewMenu view={view} />}
            </span>
          ))}
        </div>
      )}
      {changed && !known && (
        <Button size="compact-xs" variant="subtle" leftSection={<IconPlus width="0.8rem" />} onClick={() => setSaving(true)}>{t.work.views.save}</Button>
      )}
      {changed && left !== undefined && <SaveInto view={left} filters={filters} />}
      <SaveDialog opened={saving} filters={filters} onClose={() => setSaving(false)} />
    </>
  );
}

/** Beside filters that were changed since a view of one's own was chosen. */
function SaveInto({ view, filters }: { view: SavedView; filters: IncidentFilters }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const save = useMutation({
    mutationFn: () => request(`incidents/views/${view.id}`, { method: "PATCH", tenantId: tenant.id, body: { query: apiQuery(filters).toString(), version: view.version } }),
    onSuccess: () => notifications.show({ message: t.work.views.saved(view.name) }),
    onError: (error) => notifications.show({ message: error.message, color: "red" }),
    onSettled: () => client.invalidateQueries({ queryKey: viewsKey(tenant.id) }),
  });
  return <Button size="compact-xs" variant="subtle" onClick={() => save.mutate()} loading={save.isPending}>{t.work.views.saveInto(view.name)}</Button>;
}

function ViewMenu({ view }: { view: SavedView }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayShare = useMay("incidents:write");
  const mayManage = useMay("users:write");
  const change = useMutation({
    mutationFn: ({ method, path, body }: { method: "PATCH" | "PUT" | "DELETE"; path: string; body?: unknown }) =>
      request<unknown>(`incidents/views/${path}`, { method, tenantId: tenant.id, body }),
    onSettled: () => void client.invalidateQueries({ queryKey: viewsKey(tenant.id) }),
    onSuccess: (_answer, { method }) => {
      if (method === "DELETE") notifications.show({ message: t.work.views.deleted(view.name) });
    },
    onError: (error) => notifications.show({ message: error.message, color: "red" }),
  });
  const patch = (body: object) => change.mutate({ method: "PATCH", path: view.id, body: { ...body, version: view.version } });
  const [renaming, setRenaming] = useState(false);
  return (
    <>
      <Menu position="bottom-start">
        <Menu.Target>
          <ActionIcon variant="subtle" size="xs" loading={change.isPending} aria-label={t.work.views.menu(view.name)}><IconChevron width="0.75rem" /></ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => change.mutate({ method: "PUT", path: "default", body: { view_id: view.is_default ? null : view.id } })}>
            {view.is_default ? t.work.views.unsetDefault : t.work.views.setDefault}
          </Menu.Item>
          {view.mine && <Menu.Item onClick={() => setRenaming(true)}>{t.work.views.rename}</Menu.Item>}
          {view.mine && mayShare && <Menu.Item onClick={() => patch({ shared: !view.shared })}>{view.shared ? t.work.views.unshare : t.work.views.share}</Menu.Item>}
          {(view.mine || mayManage) && <Menu.Item color="red" onClick={() => change.mutate({ method: "DELETE", path: view.id })}>{t.work.views.delete}</Menu.Item>}
        </Menu.Dropdown>
      </Menu>
      {renaming && <RenameDialog view={view} onClose={() => setRenaming(false)} />}
    </>
  );
}

function RenameDialog({ view, onClose }: { view: SavedView; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState(view.name);
  const rename = useMutation({
    mutationFn: () => request(`incidents/views/${view.id}`, { method: "PATCH", tenantId: tenant.id, body: { name: name.trim(), version: view.version } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: viewsKey(tenant.id) });
      onClose();
    },
  });
  return (
    <FormDialog
      title={t.work.views.renameTitle(view.name)} disabled={name.trim() === ""}
      pending={rename.isPending} error={rename.error} onClose={onClose} onSubmit={() => rename.mutate()}
    >
      <TextInput label={t.work.views.name} required maxLength={80} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
    </FormDialog>
  );
}

function SaveDialog({ opened, filters, onClose }: { opened: boolean; filters: IncidentFilters; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayShare = useMay("incidents:write");
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const save = useMutation({
    mutationFn: () => request<SavedView>("incidents/views", { method: "POST", tenantId: tenant.id, body: { name: name.trim(), query: apiQuery(filters).toString(), shared } }),
    onSuccess: (view) => {
      notifications.show({ message: t.work.views.saved(view.name) });
      void client.invalidateQueries({ queryKey: viewsKey(tenant.id) });
      setName("");
      setShared(false);
      onClose();
    },
  });
  return (
    <Modal opened={opened} onClose={onClose} title={t.work.views.saveTitle} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== "") save.mutate();
        }}
      >
        <Stack gap="sm">
          <TextInput label={t.work.views.name} required maxLength={80} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
          {mayShare && <Checkbox label={t.work.views.shared} checked={shared} onChange={(event) => setShared(event.currentTarget.checked)} />}
          {save.error !== null && <Trouble error={save.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={save.isPending} disabled={name.trim() === ""}>{t.work.views.save}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
