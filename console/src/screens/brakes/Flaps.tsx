// Checks that come and go, left to a person until somebody clears them.
import { Button, Group, Select, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useState } from "react";
import { flapsQuery, type Flap } from "../../api/brakes";
import { request } from "../../api/client";
import { actorName } from "../../lib/actors";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";

export function Flaps() {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("brakes:write");
  const [text, setText] = useAddressText("q");
  const [state, setState] = useAddressText("state", "suppressed");
  const q = useDeferredValue(text.trim());
  const list = useInfiniteQuery(flapsQuery(tenant.id, { ...(q === "" ? {} : { q }), ...(state === "all" ? {} : { state }) }));
  const [clearing, setClearing] = useState<Flap | null>(null);
  const clear = useMutation({
    mutationFn: ({ flap, reason }: { flap: Flap; reason: string }) => request(`brakes/flaps/${flap.id}/clear`, { method: "POST", tenantId: tenant.id, body: { reason } }),
    onSuccess: async () => {
      notifications.show({ message: t.flaps.done });
      setClearing(null);
      await client.invalidateQueries({ queryKey: [tenant.id, "brakes"] });
    },
  });
  return (
    <>
      <Group gap="xs" mb="sm">
        <TextInput size="xs" type="search" placeholder={t.flaps.search} aria-label={t.flaps.search} leftSection={<IconSearch width="0.95rem" />} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        <Select
          size="xs" aria-label={t.flaps.state} allowDeselect={false} value={state} onChange={(value) => setState(value ?? "all")}
          data={[{ value: "suppressed", label: t.flaps.suppressed }, { value: "cleared", label: t.flaps.cleared }, { value: "all", label: t.flaps.all }]}
        />
      </Group>
      <Listing
        list={list} empty={<Empty title={t.flaps.none}><p>{t.flaps.noneText}</p></Empty>}
        columns={[t.flaps.check, t.flaps.where, t.flaps.flaps, t.flaps.rests, t.flaps.state, unseen(t.flaps.clear)]}
        row={(flap) => (
          <>
            <td><Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: flap.incident_id }}><code>{flap.check_type}</code></Link></td>
            <td data-label={t.flaps.where}>{[flap.host, flap.site].filter((one) => one !== null).join(", ") || "–"}</td>
            <td data-label={t.flaps.flaps}>{t.flaps.times(flap.flaps, flap.window_seconds)}</td>
            <td data-label={t.flaps.rests}>{flap.suppressed_incidents}</td>
            <td data-label={t.flaps.state}>
              {flap.cleared_at === null
                ? <><Tag tone="person">{t.flaps.suppressed}</Tag> <Ago at={flap.since} /></>
                : <>{t.flaps.clearedBy(actorName(flap.cleared_by_name, flap.cleared_by), flap.clear_reason ?? "")} <Ago at={flap.cleared_at} /></>}
            </td>
            <td data-figures>
              {mayWrite && flap.cleared_at === null && (
                <Button size="compact-xs" variant="default" aria-label={t.flaps.clearName(flap.check_type, flap.host ?? "–")} onClick={() => { clear.reset(); setClearing(flap); }}>{t.flaps.clear}</Button>
              )}
            </td>
          </>
        )}
      />
      <ReasonDialog
        opened={clearing !== null} title={t.flaps.clear} consequence={t.flaps.consequence} confirm={t.flaps.clear} pending={clear.isPending}
        error={clear.error} onClose={() => setClearing(null)} onConfirm={(reason) => clearing !== null && clear.mutate({ flap: clearing, reason })}
      />
    </>
  );
}
