// Brakes: the stop switch, what flaps, circuit breakers, what limits hold, deputies, and what another level would do.
import { Button, Group, Stack, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { brakesQuery, stopsQuery, type BrakesNow } from "../../api/brakes";
import { request } from "../../api/client";
import { meQuery } from "../../api/queries";
import { actorName } from "../../lib/actors";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Listing } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Facts, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { Breakers } from "./Breakers";
import { Deputies } from "./Deputies";
import { Flaps } from "./Flaps";
import { HeldRuns } from "./HeldRuns";
import { WhatIfView } from "./WhatIf";

export function Brakes() {
  const tenant = useTenant();
  const [tab, setTab] = useAddressText("tab", "now");
  const { data, error, refetch } = useQuery(brakesQuery(tenant.id));
  return (
    <>
      <title>{t.pageTitle(t.brakes.title)}</title>
      <PageHead title={t.brakes.title}>{data !== undefined && <Switches now={data} />}</PageHead>
      <p>{t.brakes.help}</p>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      <Tabs value={tab} onChange={(value) => setTab(value ?? "")} keepMounted={false}>
        <Tabs.List mb="sm">
          {Object.entries(t.brakes.tabs).map(([name, label]) => <Tabs.Tab key={name} value={name}>{label}</Tabs.Tab>)}
        </Tabs.List>
        <Tabs.Panel value="now">{data === undefined ? <Panel><Lines rows={5} /></Panel> : <Now now={data} />}</Tabs.Panel>
        <Tabs.Panel value="flaps"><Flaps /></Tabs.Panel>
        <Tabs.Panel value="breakers"><Breakers /></Tabs.Panel>
        <Tabs.Panel value="held"><HeldRuns /></Tabs.Panel>
        <Tabs.Panel value="deputies"><Deputies /></Tabs.Panel>
        <Tabs.Panel value="what"><WhatIfView /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Now({ now }: { now: BrakesNow }) {
  const tenant = useTenant();
  const stops = useInfiniteQuery(stopsQuery(tenant.id));
  const pressed = [now.platform, now.tenant].some((one) => one !== null);
  return (
    <Stack gap="md">
      {!pressed && <p style={{ margin: 0 }}><Tag tone="good">{t.brakes.running}</Tag> {t.brakes.runningText}</p>}
      <Panel title={t.brakes.title}>
        <Facts items={(["flapping", "breakers", "held"] as const).map((name) => [t.brakes.counts[name], String(now[name])])} />
      </Panel>
      <Panel title={t.brakes.limits}>
        {now.limits.length === 0
          ? <p style={{ margin: 0 }}>{t.brakes.noLimits}</p>
          : <Facts items={now.limits.map((one) => [t.brakes.limitNames[one.name] ?? one.name, t.brakes.of(one.used, one.most)])} />}
      </Panel>
      <Listing
        list={stops} title={t.brakes.history} columns={[t.brakes.since, t.brakes.by, t.brakes.reason, t.brakes.lifted]}
        empty={<Empty title={t.brakes.noHistory}><p>{t.brakes.noHistoryText}</p></Empty>}
        row={(stop) => (
          <>
            <td><Ago at={stop.stopped_at} /></td>
            <td data-label={t.brakes.by}>{actorName(stop.stopped_by_name, stop.stopped_by)}</td>
            <td data-label={t.brakes.reason}>{stop.reason}</td>
            <td data-label={t.brakes.lifted}>
              {stop.lifted_at === null ? "–" : <><Ago at={stop.lifted_at} /> {t.brakes.stoppedBy(actorName(stop.lifted_by_name, stop.lifted_by), stop.lift_reason ?? "")}</>}
            </td>
          </>
        )}
      />
    </Stack>
  );
}

type Move = "brakes/stop" | "brakes/resume" | "platform/stop" | "platform/resume";

const WORDS: Record<Move, { title: string; consequence: string; danger: boolean }> = {
  "brakes/stop": { title: t.brakes.stop, consequence: t.brakes.stopConsequence, danger: true },
  "brakes/resume": { title: t.brakes.resume, consequence: t.brakes.resumeConsequence, danger: false },
  "platform/stop": { title: t.brakes.stopAll, consequence: t.brakes.stopAllConsequence, danger: true },
  "platform/resume": { title: t.brakes.resumeAll, consequence: t.brakes.resumeConsequence, danger: false },
};

function Switches({ now }: { now: BrakesNow }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("brakes:write");
  const me = useQuery(meQuery(tenant.id));
  const [asking, setAsking] = useState<Move | null>(null);
  const move = useMutation({
    mutationFn: ({ path, reason }: { path: Move; reason: string }) =>
      request(path, { method: "POST", body: { reason }, ...(path.startsWith("brakes") ? { tenantId: tenant.id } : {}) }),
    onSuccess: async (_answer, { path }) => {
      notifications.show({ message: path.endsWith("stop") ? t.brakes.stopDone : t.brakes.resumeDone });
      setAsking(null);
      await client.invalidateQueries({ queryKey: [tenant.id, "brakes"] });
    },
  });
  const offered: Move[] = [
    ...(mayWrite ? [now.tenant === null ? "brakes/stop" : "brakes/resume"] as Move[] : []),
    ...(me.data?.is_platform_admin === true ? [now.platform === null ? "platform/stop" : "platform/resume"] as Move[] : []),
  ];
  return (
    <Group gap="xs">
      {offered.map((path) => (
        <Button key={path} size="xs" {...(WORDS[path].danger ? { color: "red" } : {})} variant={path.startsWith("platform") ? "outline" : "filled"} onClick={() => { move.reset(); setAsking(path); }}>
          {WORDS[path].title}
        </Button>
      ))}
      <ReasonDialog
        opened={asking !== null} title={asking === null ? "" : WORDS[asking].title} consequence={asking === null ? "" : WORDS[asking].consequence}
        confirm={asking === null ? "" : WORDS[asking].title} {...(asking !== null && WORDS[asking].danger ? { color: "red" } : {})}
        pending={move.isPending} error={move.error} onClose={() => setAsking(null)}
        onConfirm={(reason) => asking !== null && move.mutate({ path: asking, reason })}
      />
    </Group>
  );
}
