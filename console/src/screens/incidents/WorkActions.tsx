// Who has an incident in hand, and merging and splitting it.
import { Button, Menu } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { refreshIncident } from "../../api/queries";
import type { Accepted, IncidentDetail } from "../../api/types";
import { useShortcuts } from "../../lib/keyboard";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconChevron, IconPerson } from "../../ui/icons";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { AssignDialog } from "./AssignDialog";
import { MergeDialog } from "./MergeDialog";
import { usePeople } from "./people";
import { SplitDialog } from "./SplitDialog";

type Dialog = "assign" | "merge" | "split" | "unmerge";

export function WorkActions({ incident }: { incident: IncidentDetail }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const people = usePeople();
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const close = () => setDialog(null);
  const send = useMutation({
    mutationFn: ({ command, body }: { command: string; body: object }) =>
      request<Accepted>(`incidents/${incident.id}/${command}`, { method: "POST", tenantId: tenant.id, body: { ...body, version: incident.version } }),
    onSuccess: close,
    onSettled: () => refreshIncident(client, tenant.id, incident.id),
  });
  const open = (which: Dialog) => {
    send.reset();
    setDialog(which);
  };
  useShortcuts({ a: () => open("assign") });
  const merged = incident.merged_into !== null;
  return (
    <>
      <Button size="xs" variant="default" leftSection={<IconPerson width="0.9rem" />} onClick={() => open("assign")}>
        {incident.assignee === null ? t.work.actions.assign : people.nameOf(incident.assignee)}
      </Button>
      {incident.assignee === null && people.me !== null && (
        <Button size="xs" variant="default" loading={send.isPending && dialog === null} onClick={() => send.mutate({ command: "assign", body: { assignee: "me" } })}>
          {t.work.assign.take}
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button size="xs" variant="default" rightSection={<IconChevron width="0.8rem" />}>{t.work.merge.open} / {t.work.split.open}</Button>
        </Menu.Target>
        <Menu.Dropdown>
          {!merged && <Menu.Item onClick={() => open("merge")}>{t.work.merge.open}…</Menu.Item>}
          {!merged && <Menu.Item disabled={incident.occurrences < 2} onClick={() => open("split")}>{t.work.split.open}…</Menu.Item>}
          {merged && <Menu.Item onClick={() => open("unmerge")}>{t.work.merge.undo}…</Menu.Item>}
        </Menu.Dropdown>
      </Menu>
      <Button size="xs" variant="subtle" color="gray" onClick={() => window.print()}>{t.work.print}</Button>
      <AssignDialog
        opened={dialog === "assign"} count={1} pending={send.isPending} error={send.error} onClose={close}
        onChoose={(assignee) => send.mutate(assignee === null ? { command: "unassign", body: {} } : { command: "assign", body: { assignee } })}
      />
      <MergeDialog incident={incident} opened={dialog === "merge"} onClose={close} />
      <SplitDialog incident={incident} opened={dialog === "split"} onClose={close} />
      <ReasonDialog
        opened={dialog === "unmerge"} title={t.work.merge.undoTitle(incident.number)} consequence={t.work.merge.undoConsequence} confirm={t.work.merge.undo}
        pending={send.isPending} error={send.error} onClose={close}
        onConfirm={(reason) =>
          send.mutate({ command: "unmerge", body: { reason } }, { onSuccess: () => notifications.show({ message: t.work.merge.undone(incident.number) }) })}
      />
    </>
  );
}
