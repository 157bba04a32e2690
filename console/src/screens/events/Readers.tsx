// Every reader of the event store, how far it is behind, and what waits or was given up for this tenant.
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { lagQuery } from "../../api/platformQueries";
import { count, duration } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Lines, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";

const LagPlot = lazy(() => import("./LagPlot").then((module) => ({ default: module.LagPlot })));

export function Readers() {
  const tenant = useTenant();
  const { data, error, dataUpdatedAt, refetch } = useQuery(lagQuery(tenant.id));
  if (data === undefined) return error === null ? <Panel><Lines rows={6} /></Panel> : <Trouble error={error} onRetry={() => void refetch()} />;
  return (
    <>
      <Panel title={t.eventLog.behind} style={{ marginBottom: "1rem" }}>
        <Suspense fallback={<Skeleton height={236} />}><LagPlot tenantId={tenant.id} groups={data.groups} at={dataUpdatedAt} /></Suspense>
      </Panel>
      <Panel flush>
        <table className={tables["table"]}>
          <thead><tr><th>{t.eventLog.reader}</th><th data-figures>{t.eventLog.eventsBehind}</th><th data-figures>{t.eventLog.secondsBehind}</th><th data-figures>{t.eventLog.waiting}</th><th data-figures>{t.eventLog.dead}</th></tr></thead>
          <tbody>
            {data.groups.map((group) => (
              <tr key={group.group}>
                <td data-label={t.eventLog.reader}><code>{group.group}</code></td>
                <td data-figures data-label={t.eventLog.eventsBehind}>{count(group.events)}</td>
                <td data-figures data-label={t.eventLog.secondsBehind}>{group.events === 0 ? "–" : duration(group.seconds)}</td>
                <td data-figures data-label={t.eventLog.waiting}>{count(group.waiting)}</td>
                <td data-figures data-label={t.eventLog.dead}>{group.dead === 0 ? "0" : <Tag tone="person">{count(group.dead)}</Tag>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </>
  );
}
