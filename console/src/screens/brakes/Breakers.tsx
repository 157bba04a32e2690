// Circuit breakers: which are open and why, opened and reset by hand.
import { Button, Group, NumberInput, Select, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { breakersQuery, type Breaker } from "../../api/brakes";
import { request } from "../../api/client";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FormDialog } from "../../ui/FormDialog";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";

const TONES = { closed: "good", open: "person", half_open: "waiting" } as const;

export function Breakers() {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("brakes:write");
  const [state, setState] = useAddressText("state", "all");
  const list = useInfiniteQuery(breakersQuery(tenant.id, state === "all" ? {} : { state }));
  const [opening, setOpening] = useState(false);
  const [resetting, setResetting] = useState<Breaker | null>(null);
  const reset = useMutation({
    mutationFn: ({ breaker, reason }: { breaker: Breaker; reason: string }) =>
      request("brakes/breakers/reset", { method: "POST", tenantId: tenant.id, body: { kind: breaker.kind, key: breaker.key, reason } }),
    onSuccess: async () => {
      notifications.show({ message: t.breakers.done });
      setResetting(null);
      await client.invalidateQueries({ queryKey: [tenant.id, "brakes"] });
    },
  });
  return (
    <>
      <Group gap="xs" mb="sm">
        <Select
          size="xs" aria-label={t.breakers.state} allowDeselect={false} value={state} onChange={(value) => setState(value ?? "all")}
          data={[{ value: "all", label: t.breakers.all }, ...Object.entries(t.breakers.states).map(([value, label]) => ({ value, label }))]}
        />
        {mayWrite && <Button size="xs" variant="default" onClick={() => setOpening(true)}>{t.breakers.open}</Button>}
      </Group>
      <Listing
        list={list} empty={<Empty title={t.breakers.none}><p>{t.breakers.noneText}</p></Empty>}
        columns={[t.breakers.kind, t.breakers.state, t.breakers.failures, t.breakers.until, t.breakers.why, unseen(t.breakers.reset)]}
        row={(breaker) => (
          <>
            <td>{t.breakers.kinds[breaker.kind]} <code>{breaker.key}</code></td>
            <td data-label={t.breakers.state}><Tag tone={TONES[breaker.state]}>{t.breakers.states[breaker.state]}</Tag></td>
            <td data-label={t.breakers.failures}>{breaker.failures}</td>
            <td data-label={t.breakers.until}>{breaker.state !== "open" ? "–" : breaker.open_until === null ? t.breakers.untilReset : <Ago at={breaker.open_until} />}</td>
            <td data-label={t.breakers.why}>{breaker.reason ?? "–"}{breaker.changed_by_name !== null && ` (${breaker.changed_by_name})`}</td>
            <td data-figures>
              {mayWrite && (breaker.state !== "closed" || breaker.failures > 0) && (
                <Button size="compact-xs" variant="default" aria-label={t.breakers.resetName(breaker.key || breaker.kind)} onClick={() => { reset.reset(); setResetting(breaker); }}>{t.breakers.reset}</Button>
              )}
            </td>
          </>
        )}
      />
      {opening && <OpenBreaker onClose={() => setOpening(false)} />}
      <ReasonDialog
        opened={resetting !== null} title={t.breakers.reset} consequence={t.breakers.resetConsequence} confirm={t.breakers.reset} pending={reset.isPending}
        error={reset.error} onClose={() => setResetting(null)} onConfirm={(reason) => resetting !== null && reset.mutate({ breaker: resetting, reason })}
      />
    </>
  );
}

function OpenBreaker({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [kind, setKind] = useState("playbook");
  const [key, setKey] = useState("");
  const [minutes, setMinutes] = useState<number | string>("");
  const [reason, setReason] = useState("");
  const open = useMutation({
    mutationFn: () =>
      request("brakes/breakers/open", {
        method: "POST", tenantId: tenant.id,
        body: { kind, key: kind === "tenant" ? "" : key.trim(), reason: reason.trim(), seconds: typeof minutes === "number" ? minutes * 60 : null },
      }),
    onSuccess: async () => {
      notifications.show({ message: t.breakers.opened });
      await client.invalidateQueries({ queryKey: [tenant.id, "brakes"] });
      onClose();
    },
  });
  const ready = reason.trim() !== "" && (kind === "tenant" || key.trim() !== "");
  return (
    <FormDialog
      title={t.breakers.open} confirm={t.breakers.open} danger disabled={!ready}
      pending={open.isPending} error={open.error} onClose={onClose} onSubmit={() => open.mutate()}
    >
      <p style={{ margin: 0 }}>{t.breakers.openText}</p>
      <Select label={t.breakers.kind} allowDeselect={false} data={Object.entries(t.breakers.kinds).map(([value, label]) => ({ value, label }))} value={kind} onChange={(value) => setKind(value ?? "playbook")} />
      {kind !== "tenant" && <TextInput label={t.breakers.key} description={t.breakers.keyHelp} required maxLength={255} value={key} onChange={(event) => setKey(event.currentTarget.value)} />}
      <NumberInput label={t.breakers.seconds} description={t.breakers.secondsHelp} min={1} max={10_080} allowDecimal={false} value={minutes} onChange={setMinutes} />
      <Textarea label={t.actions.reason} required autosize minRows={2} maxLength={1000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
    </FormDialog>
  );
}
