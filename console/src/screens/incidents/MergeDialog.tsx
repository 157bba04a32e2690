// Merges an incident into another, after saying what will happen.
import { Button, Group, Modal, Stack, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { refreshIncident } from "../../api/queries";
import type { Accepted, Incident, IncidentDetail } from "../../api/types";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Trouble } from "../../ui/parts";
import { FindIncident } from "./FindIncident";
import classes from "./work.module.css";

export function MergeDialog({ incident, opened, onClose }: { incident: IncidentDetail; opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} size="lg" title={t.work.merge.title(incident.number)} closeButtonProps={{ "aria-label": t.common.close }}>
      {opened && <Merge incident={incident} onClose={onClose} />}
    </Modal>
  );
}

function Merge({ incident, onClose }: { incident: IncidentDetail; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [into, setInto] = useState<Incident | null>(null);
  const [reason, setReason] = useState("");
  const [seen, setSeen] = useState(incident.version);
  const merge = useMutation({
    mutationFn: () =>
      request<Accepted>(`incidents/${incident.id}/merge`, {
        method: "POST", tenantId: tenant.id, body: { into: into?.id, reason: reason.trim(), version: seen },
      }),
    onSuccess: () => {
      notifications.show({ message: t.work.merge.done(incident.number, into?.number ?? 0) });
      onClose();
    },
    onError: () => setSeen(incident.version),
    onSettled: () => {
      refreshIncident(client, tenant.id, incident.id);
      if (into !== null) refreshIncident(client, tenant.id, into.id);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (into !== null && reason.trim() !== "") merge.mutate();
      }}
    >
      <Stack gap="sm">
        <FindIncident except={incident.id} chosen={into} onChoose={setInto} />
        <div>
          <b>{t.work.merge.will}</b>
          <ul className={classes["will"]}>
            <li>{t.work.merge.willClose(incident.number)}</li>
            <li>{t.work.merge.willMove(incident.occurrences)}</li>
            <li>{t.work.merge.willFollow}</li>
            <li>{t.work.merge.willUndo}</li>
          </ul>
        </div>
        <Textarea label={t.actions.reason} description={t.actions.reasonHelp} required autosize minRows={2} maxLength={1000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        {merge.error !== null && <Trouble error={merge.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" loading={merge.isPending} disabled={into === null || reason.trim() === ""}>{t.work.merge.confirm}</Button>
        </Group>
      </Stack>
    </form>
  );
}
