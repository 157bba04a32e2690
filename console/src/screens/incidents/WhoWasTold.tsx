// Whom an incident was told to, what is due next, and taking, acknowledging and handing it over, with a way back.
import { Button, Group, Select, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { incidentEscalationQuery, type EscalationClock } from "../../api/escalation";
import { refreshIncident } from "../../api/queries";
import type { IncidentDetail } from "../../api/types";
import { shortDateTime } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FormDialog } from "../../ui/FormDialog";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Lines, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { tellWithUndo } from "../../ui/undo";
import { Came } from "../oncall/MessageLog";
import { usePeople } from "./people";

const CLOCK_TONES: Record<EscalationClock["state"], "waiting" | "moving" | "good" | "person" | "quiet"> = {
  active: "moving", acknowledged: "good", exhausted: "person", grouped: "moving", resolved: "quiet",
};
const OVER = new Set(["resolved", "closed"]);

export function WhoWasTold({ incident }: { incident: IncidentDetail }) {
  const tenant = useTenant();
  const told = useQuery(incidentEscalationQuery(tenant.id, incident.id));
  if (told.data === undefined) return told.error === null ? <Lines rows={2} /> : <Trouble error={told.error} onRetry={() => void told.refetch()} />;
  const { escalation, deliveries } = told.data;
  return (
    <>
      {escalation === null ? (
        <Empty title={t.told.none}><p>{incident.state === "escalated" ? t.told.noneEscalated : t.told.noneText}</p></Empty>
      ) : (
        <Clock clock={escalation} />
      )}
      {escalation !== null && escalation.state !== "resolved" && <Actions incident={incident} clock={escalation} />}
      {deliveries.length > 0 && (
        <>
          <table className={tables["table"]}>
            <thead><tr><th>{t.messages.when}</th><th>{t.messages.what}</th><th>{t.messages.by}</th><th>{t.messages.to}</th><th>{t.messages.came}</th></tr></thead>
            <tbody>
              {deliveries.slice(0, 20).map((one) => (
                <tr key={one.id}>
                  <td data-label={t.messages.when}><Ago at={one.ended_at ?? one.created_at} /></td>
                  <td data-label={t.messages.what}>{t.messages.kind[one.kind]}</td>
                  <td data-label={t.messages.by}>{one.channel ?? t.channels.kinds[one.channel_kind]}</td>
                  <td data-label={t.messages.to}>{one.recipient === null ? t.messages.channelItself : (one.person?.name ?? t.onCall.gone)}</td>
                  <td><Came message={one} /></td>
                </tr>
              ))}
            </tbody>
          </table>
          <MayLog incidentId={incident.id} />
        </>
      )}
    </>
  );
}

function MayLog({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  if (!useMay("escalation:read")) return null;
  return <p><Link to="/t/$tenant/messages" params={{ tenant: tenant.slug }} search={{ incident_id: incidentId }}>{t.told.allMessages}</Link></p>;
}

function Clock({ clock }: { clock: EscalationClock }) {
  const people = usePeople();
  const taker = clock.acknowledged_by;
  return (
    <p>
      <Tag tone={CLOCK_TONES[clock.state]}>{t.told.state[clock.state]}</Tag>{" "}
      {clock.members > 1 && `${t.told.members(clock.members)}. `}
      {taker !== null && clock.state !== "active" && <>{t.told.by(taker.startsWith("user:") ? people.nameOf(taker.slice(5)) : t.work.program)} <Ago at={clock.acknowledged_at} />. </>}
      {clock.due_at !== null && t.told.nextStep(shortDateTime(clock.due_at))}
    </p>
  );
}

function Actions({ incident, clock }: { incident: IncidentDetail; clock: EscalationClock }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const people = usePeople();
  const may = useMay("incidents:write");
  const [handing, setHanding] = useState(false);
  const send = (command: string, body?: object) => request(`incidents/${incident.id}/${command}`, { method: "POST", tenantId: tenant.id, body });
  const refresh = async () => {
    refreshIncident(client, tenant.id, incident.id);
    await client.invalidateQueries({ queryKey: incidentEscalationQuery(tenant.id, incident.id).queryKey });
  };
  const back = async () => {
    await send("unacknowledge");
    if (incident.assignee === null) await send("unassign", {});
    else if (incident.assignee !== people.me) await send("assign", { assignee: incident.assignee });
    await refresh();
  };
  const take = useMutation({
    mutationFn: (isTaken: boolean) => send("acknowledge", { take: isTaken }),
    onSuccess: async (_answer, isTaken) => {
      await refresh();
      tellWithUndo(isTaken ? t.told.taken : t.told.acknowledged, isTaken ? back : () => send("unacknowledge").then(refresh));
    },
  });
  if (!may || OVER.has(incident.state)) return null;
  const isRunning = clock.state !== "acknowledged";
  return (
    <>
      <Group gap="xs" mb="sm" className="no-print">
        {isRunning && <Button size="xs" loading={take.isPending && take.variables} title={t.told.takeHelp} onClick={() => take.mutate(true)}>{t.told.take}</Button>}
        {isRunning && <Button size="xs" variant="default" loading={take.isPending && !take.variables} onClick={() => take.mutate(false)}>{t.told.acknowledge}</Button>}
        <Button size="xs" variant="default" onClick={() => setHanding(true)}>{t.told.handOver}</Button>
      </Group>
      {take.error !== null && <Trouble error={take.error} />}
      {handing && (
        <HandOver
          onClose={() => setHanding(false)}
          onSend={async (to, reason) => {
            await send("hand-over", { to, reason });
            await refresh();
            tellWithUndo(t.told.handedOver(people.nameOf(to)), async () => {
              if (incident.assignee === null) await send("unassign", {});
              else await send("assign", { assignee: incident.assignee });
              await refresh();
            });
          }}
        />
      )}
    </>
  );
}

function HandOver({ onClose, onSend }: { onClose: () => void; onSend: (to: string, reason: string) => Promise<void> }) {
  const people = usePeople();
  const [to, setTo] = useState<string | null>(null);
  const [reason, setReason] = useState("");
  const hand = useMutation({ mutationFn: () => (to === null ? Promise.resolve() : onSend(to, reason.trim())), onSuccess: onClose });
  return (
    <FormDialog
      title={t.told.handOverTitle} confirm={t.told.handOver} disabled={to === null || reason.trim() === ""}
      pending={hand.isPending} error={hand.error} onClose={onClose} onSubmit={() => hand.mutate()}
    >
      <p style={{ margin: 0 }}>{t.told.handOverText}</p>
      <Select label={t.told.to} required searchable data-autofocus value={to} onChange={setTo} data={people.all.filter((one) => one.id !== people.me).map((one) => ({ value: one.id, label: one.name }))} />
      <Textarea label={t.told.reason} required autosize minRows={3} maxLength={1_000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
    </FormDialog>
  );
}
