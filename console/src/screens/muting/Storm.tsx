// What the one incident of a storm stands for, thing by thing.
import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { stormQuery } from "../../api/mutes";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Ago, Lines, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";

export function Storm({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const list = useInfiniteQuery(stormQuery(tenant.id, incidentId));
  const members = list.data?.pages.flatMap((page) => page.items);
  if (members === undefined) return list.error === null ? <Panel title={t.why.storm}><Lines rows={4} /></Panel> : <Trouble error={list.error} onRetry={() => void list.refetch()} />;
  return (
    <>
      <Panel title={t.why.storm} flush>
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
      </Panel>
      {list.hasNextPage && <div><Button size="xs" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.more}</Button></div>}
    </>
  );
}
