// The chain of evidence bundles, newest first, its export, and how to verify it offline.
import { Button } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { download } from "../api/client";
import { evidenceQuery } from "../api/queries";
import { dateTime } from "../lib/format";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconDownload } from "../ui/icons";
import { Command, Empty, Hash, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import tables from "../ui/table.module.css";

const FIRST = 1;

export function Evidence() {
  const tenant = useTenant();
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(evidenceQuery(tenant.id));
  const run = useMutation({ mutationFn: () => download("evidence/export", `evidence-${tenant.slug}.jsonl`, { tenantId: tenant.id }) });
  const bundles = data?.pages.flatMap((page) => page.items);
  return (
    <>
      <title>{t.pageTitle(t.nav.evidence)}</title>
      <PageHead title={t.nav.evidence}>
        <Button size="xs" variant="default" leftSection={<IconDownload width="0.95rem" />} onClick={() => run.mutate()} loading={run.isPending}>
          {t.evidence.export}
        </Button>
      </PageHead>
      {run.error !== null && <Trouble error={run.error} />}
      {error !== null && bundles === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {bundles === undefined && error === null && <Panel><Lines rows={8} /></Panel>}
      {bundles?.length === 0 && <Panel><Empty title={t.evidence.none}><p>{t.evidence.noneText}</p></Empty></Panel>}
      {bundles !== undefined && bundles.length > 0 && (
        <>
          <Panel flush title={t.evidence.chain}>
            <table className={tables["table"]}>
              <thead>
                <tr>
                  <th data-figures>{t.evidence.sequence}</th><th>{t.evidence.incident}</th><th>{t.evidence.sealed}</th>
                  <th>{t.evidence.hash}</th><th>{t.evidence.previous}</th><th>{t.evidence.signature}</th>
                </tr>
              </thead>
              <tbody>
                {bundles.map((bundle) => (
                  <tr key={bundle.id}>
                    <td data-figures data-label={t.evidence.sequence}>{bundle.sequence}</td>
                    <td data-label={t.evidence.incident}>
                      {bundle.incident_id === null ? t.evidence.ofAudit : (
                        <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: bundle.incident_id }}>
                          {t.evidence.openIncident}
                        </Link>
                      )}
                    </td>
                    <td data-label={t.evidence.sealed}>{dateTime(bundle.sealed_at)}</td>
                    <td data-label={t.evidence.hash}><Hash value={bundle.hash} label={t.evidence.hash} /></td>
                    <td data-label={t.evidence.previous}>{bundle.sequence === FIRST ? t.evidence.first : <Hash value={bundle.previous_hash} label={t.evidence.previous} />}</td>
                    <td data-label={t.evidence.signature}><Hash value={bundle.signature} label={t.evidence.signature} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Panel>
          {hasNextPage && (
            <Button mt="sm" variant="default" size="xs" onClick={() => void fetchNextPage()} loading={isFetchingNextPage}>{t.common.more}</Button>
          )}
          <Panel title={t.evidence.verifyTitle} style={{ marginTop: "1rem" }}>
            <p>{t.evidence.verifyText}</p>
            <Command>{`fettle evidence verify evidence-${tenant.slug}.jsonl`}</Command>
          </Panel>
        </>
      )}
    </>
  );
}
