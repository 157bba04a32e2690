// The installed packs, and the version of each that the tenant works with.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { packsQuery } from "../api/authoringQueries";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Tag } from "../ui/marks";
import { Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import classes from "../ui/authoring.module.css";
import tables from "../ui/table.module.css";

export function Packs() {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(packsQuery(tenant.id));
  return (
    <>
      <title>{t.pageTitle(t.packs.title)}</title>
      <PageHead title={t.packs.title} />
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={5} /></Panel>}
      {data?.items.length === 0 && <Panel><Empty title={t.packs.none}><p>{t.packs.noneText}</p></Empty></Panel>}
      {data !== undefined && data.items.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead><tr><th>{t.packs.pack}</th><th>{t.packs.active}</th><th>{t.packs.latest}</th><th>{t.packs.contents}</th></tr></thead>
            <tbody>
              {data.items.map((pack) => (
                <tr key={pack.id}>
                  <td>
                    <Link to="/t/$tenant/packs/$packId" params={{ tenant: tenant.slug, packId: pack.id }}>{pack.title}</Link> <code>{pack.id}</code>
                    <p className={classes["soft"]}>{pack.description}</p>
                  </td>
                  <td data-label={t.packs.active}>
                    {pack.active_version === null ? <Tag tone="quiet">{t.packs.off}</Tag> : <><Tag tone="good">{pack.active_version}</Tag> {pack.chosen ? t.packs.chosen : t.packs.byDefault}</>}
                  </td>
                  <td data-label={t.packs.latest}>{pack.latest_version}</td>
                  <td data-label={t.packs.contents}>{t.packs.counts(pack.counts.rules, pack.counts.playbooks, pack.counts.runbooks, pack.counts.exception_types)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      )}
    </>
  );
}
