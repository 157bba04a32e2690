// Every tenant that one looks after, the neediest first: what is open, how much heals by itself, how fast.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tenantOverviewsQuery } from "../api/platformQueries";
import { SEVERITIES, type Severity } from "../api/types";
import { count, duration } from "../lib/format";
import { t } from "../texts";
import { Listing } from "../ui/Listing";
import { SeverityShape } from "../ui/marks";
import { SharesBar } from "./LevelShares";
import classes from "./Overview.module.css";

export function TenantsBeside() {
  const list = useInfiniteQuery(tenantOverviewsQuery());
  return (
    <Listing
      list={list} title={t.overview.tenants} aside={t.overview.tenantsHelp} empty={null}
      columns={[t.overview.tenant, t.overview.openBySeverity, t.overview.waiting, t.overview.levels, t.overview.healTime, t.overview.exceptions]}
      row={(tenant) => (
        <>
          <td data-label={t.overview.tenant}><Link to="/t/$tenant/overview" params={{ tenant: tenant.slug }}>{tenant.name}</Link></td>
          <td data-label={t.overview.openBySeverity}><OpenOnes open={tenant.open} /></td>
          <td data-label={t.overview.waiting}>
            {tenant.needs_attention === 0 ? <span className={classes["soft"]}>{t.overview.nothingWaits}</span> : (
              <Link to="/t/$tenant/incidents" params={{ tenant: tenant.slug }} search={{ state: ["escalated", "awaiting_approval"] }}>{count(tenant.needs_attention)}</Link>
            )}
          </td>
          <td data-label={t.overview.levels}><SharesBar shares={tenant.level_shares} /></td>
          <td data-label={t.overview.healTime}>{tenant.median_heal_seconds === null ? "–" : duration(tenant.median_heal_seconds)}</td>
          <td data-label={t.overview.exceptions}>{count(tenant.exceptions_24h)}</td>
        </>
      )}
    />
  );
}

function OpenOnes({ open }: { open: Partial<Record<Severity, number>> }) {
  const some = SEVERITIES.filter((severity) => (open[severity] ?? 0) > 0);
  if (some.length === 0) return <span className={classes["soft"]}>{t.overview.nothingOpen}</span>;
  return (
    <span className={classes["openOnes"]}>
      {some.map((severity) => (
        <span key={severity} title={t.severity[severity]}>
          <SeverityShape severity={severity} /><span className="visually-hidden">{t.severity[severity]} </span>{count(open[severity] ?? 0)}
        </span>
      ))}
    </span>
  );
}
