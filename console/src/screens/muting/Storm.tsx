// What the one incident of a storm stands for, thing by thing, and how fast its exceptions came.
import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { paceQuery, stormQuery, type StormPace } from "../../api/mutes";
import { count } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Lines, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { TimePlot, type PlotLine } from "../../ui/TimePlot";

export function Storm({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const list = useInfiniteQuery(stormQuery(tenant.id, incidentId));
  const members = list.data?.pages.flatMap((page) => page.items);
  if (members === undefined) return list.error === null ? <Panel title={t.why.storm}><Lines rows={4} /></Panel> : <Trouble error={list.error} onRetry={() => void list.refetch()} />;
  return (
    <>
      <Pace incidentId={incidentId} />
      {members.length === 0 && <Panel title={t.why.storm}><Empty title={t.storms.moved}><p>{t.storms.movedText}</p></Empty></Panel>}
      {members.length > 0 && <Panel title={t.why.storm} flush>
        <table className={tables["table"]}>
          <thead><tr><th>{t.why.host}</th><th>{t.mutes.state}</th><th>{t.why.times}</th><th>{t.why.last}</th></tr></thead>
          <tbody>
            {members.map((one) => (
              <tr key={one.fingerprint}>
                <td>{one.host ?? one.fingerprint.slice(0, 12)}</td>
                <td data-label={t.mutes.state}><Tag tone={one.is_firing ? "waiting" : "good"}>{one.is_firing ? t.why.fires : t.why.well}</Tag></td>
                <td data-label={t.why.times} data-figures>{one.occurrences}</td>
                <td data-label={t.why.last}><Ago at={one.last_at} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>}
      {list.hasNextPage && <div><Button size="xs" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.more}</Button></div>}
    </>
  );
}

function Pace({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(paceQuery(tenant.id, incidentId));
  if (data === undefined) return error === null ? <Panel><Lines rows={3} /></Panel> : <Trouble error={error} onRetry={() => void refetch()} />;
  return data.first_at === null ? null : <PacePlot pace={data} begins={Date.parse(data.first_at)} />;
}

function PacePlot({ pace, begins }: { pace: StormPace; begins: number }) {
  const title = t.storms.pace(pace.seconds);
  // Nothing came before and after, so that one minute is a peak too.
  const times = useMemo(() => Array.from({ length: pace.counts.length + 2 }, (_, place) => begins + (place - 1) * pace.seconds * 1_000), [pace, begins]);
  const lines = useMemo<PlotLine[]>(() => [{ label: title, token: "--fettle-high", filled: true, values: [0, ...pace.counts, 0] }], [pace, title]);
  return (
    <Panel title={title}>
      <TimePlot caption={title} times={times} lines={lines} height={140} show={(value) => (Number.isInteger(value) ? count(value) : "")} />
      {!pace.is_whole && <p style={{ margin: 0 }}>{t.storms.cut}</p>}
    </Panel>
  );
}
