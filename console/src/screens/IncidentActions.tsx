// What a person can do to an incident: resolve, close, reopen, each with a reason that stands in the timeline.
import { Button, Group } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../api/client";
import { refreshIncident } from "../api/queries";
import type { Accepted, IncidentDetail, IncidentState } from "../api/types";
import { useShortcuts } from "../lib/keyboard";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { ReasonDialog } from "../ui/ReasonDialog";
import { WorkActions } from "./incidents/WorkActions";

type Action = "resolve" | "close" | "reopen";

const OFFERED: Record<IncidentState, Action[]> = {
  open: ["resolve", "close"],
  triaged: ["resolve", "close"],
  planning: ["resolve", "close"],
  awaiting_approval: ["resolve", "close"],
  healing: ["resolve"],
  verifying: ["resolve"],
  escalated: ["resolve", "close"],
  suppressed: ["resolve", "close"],
  resolved: ["close", "reopen"],
  closed: ["reopen"],
};

export function IncidentActions({ incident }: { incident: IncidentDetail }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const may = useMay("incidents:write");
  const [asking, setAsking] = useState<Action | null>(null);
  const run = useMutation({
    mutationFn: ({ action, reason }: { action: Action; reason: string }) =>
      request<Accepted>(`incidents/${incident.id}/${action}`, { method: "POST", tenantId: tenant.id, body: { reason, version: incident.version } }),
    onError: () => refreshIncident(client, tenant.id, incident.id),
    onSuccess: (_answer, { action }) => {
      notifications.show({ message: t.actions.done[action](incident.number) });
      refreshIncident(client, tenant.id, incident.id);
      setAsking(null);
    },
  });
  const first = OFFERED[incident.state][0];
  const second = OFFERED[incident.state][1];
  useShortcuts(
    {
      e: () => first !== undefined && setAsking(first),
      E: () => second !== undefined && setAsking(second),
    },
    may && incident.merged_into === null,
  );
  if (!may) return null;
  const offered = incident.merged_into !== null ? [] : OFFERED[incident.state];
  return (
    <Group gap="xs" className="no-print">
      {offered.map((action, index) => (
        <Button key={action} variant={index === 0 ? "filled" : "default"} size="xs" onClick={() => { run.reset(); setAsking(action); }}>
          {t.actions[action]}
        </Button>
      ))}
      <WorkActions incident={incident} />
      <ReasonDialog
        opened={asking !== null}
        title={asking === null ? "" : t.actions.title[asking](incident.number)}
        consequence={asking === null ? "" : t.actions.consequence[asking]}
        confirm={asking === null ? "" : t.actions[asking]}
        pending={run.isPending} error={run.error} onClose={() => setAsking(null)}
        onConfirm={(reason) => asking !== null && run.mutate({ action: asking, reason })}
      />
    </Group>
  );
}
