// Splits an incident: some of what was reported becomes an incident of its own, after saying what will happen.
import { Button, Checkbox, Group, Modal, Stack, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { reportedQuery, type Reported } from "../../api/incidentWork";
import { refreshIncident } from "../../api/queries";
import type { Accepted, IncidentDetail } from "../../api/types";
import { dateTime } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Lines, Trouble } from "../../ui/parts";
import classes from "./work.module.css";

export function SplitDialog({ incident, opened, onClose }: { incident: IncidentDetail; opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} size="lg" title={t.work.split.title(incident.number)} closeButtonProps={{ "aria-label": t.common.close }}>
      {opened && <Split incident={incident} onClose={onClose} />}
    </Modal>
  );
}

function Split({ incident, onClose }: { incident: IncidentDetail; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const navigate = useNavigate();
  const reported = useQuery(reportedQuery(tenant.id, incident.id));
  const [chosen, setChosen] = useState<string[]>([]);
  const [title, setTitle] = useState("");
  const [reason, setReason] = useState("");
  const split = useMutation({
    mutationFn: () =>
      request<Accepted>(`incidents/${incident.id}/split`, {
        method: "POST", tenantId: tenant.id,
        body: { exception_ids: chosen, reason: reason.trim(), version: incident.version, ...(title.trim() === "" ? {} : { title: title.trim() }) },
      }),
    onSuccess: (accepted) => {
      notifications.show({ message: t.work.split.done });
      onClose();
      void navigate({ to: "/t/$tenant/incidents/$incidentId", params: { tenant: tenant.slug, incidentId: accepted.id } });
    },
    onSettled: () => refreshIncident(client, tenant.id, incident.id),
  });
  if (reported.error !== null) return <Trouble error={reported.error} onRetry={() => void reported.refetch()} />;
  if (reported.data === undefined) return <Lines rows={6} />;
  const items = reported.data.items;
  const nothingLeft = chosen.length >= incident.occurrences;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (chosen.length > 0 && !nothingLeft && reason.trim() !== "") split.mutate();
      }}
    >
      <Stack gap="sm">
        <p className={classes["note"]}>{t.work.split.lead} {reported.data.next_cursor !== null && t.work.split.first(items.length)}</p>
        <ul className={classes["reports"]} tabIndex={0} aria-label={t.work.split.lead}>
          {items.map((one) => (
            <li key={one.id}>
              <Checkbox
                size="xs" checked={chosen.includes(one.id)} label={<ReportLine report={one} />}
                onChange={(event) => setChosen(event.currentTarget.checked ? [...chosen, one.id] : chosen.filter((id) => id !== one.id))}
              />
            </li>
          ))}
        </ul>
        <p className={classes["note"]} role="status">{nothingLeft && chosen.length > 0 ? t.work.split.atLeastOne : t.work.split.will(chosen.length)}</p>
        <TextInput label={t.work.split.name} description={t.work.split.nameHelp} maxLength={300} value={title} onChange={(event) => setTitle(event.currentTarget.value)} />
        <Textarea label={t.actions.reason} description={t.actions.reasonHelp} required autosize minRows={2} maxLength={1000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        {split.error !== null && <Trouble error={split.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" loading={split.isPending} disabled={chosen.length === 0 || nothingLeft || reason.trim() === ""}>{t.work.split.confirm}</Button>
        </Group>
      </Stack>
    </form>
  );
}

function ReportLine({ report }: { report: Reported }) {
  const body = report.exception;
  const words = [body?.["summary"], body?.["host"], body?.["source"]].filter((word) => typeof word === "string" && word !== "").join(" · ");
  return (
    <>
      {report.received_at === null ? "–" : dateTime(report.received_at)} <span className={classes["note"]}>{words.slice(0, 200)}</span>
    </>
  );
}
