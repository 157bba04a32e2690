// What needs me now, and how well the platform heals: the page to keep open all day.
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, type ReactNode } from "react";
import { meQuery, overviewQuery } from "../api/queries";
import { SEVERITIES, type Incident, type IncidentState, type Overview as Figures } from "../api/types";
import { count, duration, percent } from "../lib/format";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { SeverityMark, SeverityShape, StateMark } from "../ui/marks";
import { Ago, Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import { FirstSteps } from "./FirstSteps";
import { LevelShares, type Shares } from "./LevelShares";
import classes from "./Overview.module.css";

const HourlyPlot = lazy(() => import("./HourlyPlot").then((module) => ({ default: module.HourlyPlot })));

const TenantsBeside = lazy(() => import("./TenantsBeside").then((module) => ({ default: module.TenantsBeside })));

const UNSETTLED: IncidentState[] = ["open", "triaged", "planning", "awaiting_approval", "healing", "verifying", "escalated"];

export function Overview() {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(overviewQuery(tenant.id));
  const several = (useQuery(meQuery()).data?.tenants.length ?? 0) > 1;
  const untouched = data !== undefined && Object.values(data.by_state).every((n) => n === 0) && data.exceptions_24h === 0;
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  return (
    <>
      <title>{t.pageTitle(t.nav.overview)}</title>
      <PageHead title={t.nav.overview} />
      {untouched ? <FirstSteps /> : <Board data={data} slug={tenant.slug} />}
      {several && <div className={classes["beside"]}><Suspense fallback={<Skeleton height={200} />}><TenantsBeside /></Suspense></div>}
    </>
  );
}

function Board({ data, slug }: { data: Figures | undefined; slug: string }) {
  return (
    <div className={classes["board"]}>
      <Tiles data={data} />
      <Panel
        className={classes["attention"]} title={t.overview.attention} flush
        aside={
          <Link to="/t/$tenant/incidents" params={{ tenant: slug }} search={{ state: ["escalated", "awaiting_approval"] }}>
            {t.overview.attentionAll}
          </Link>
        }
      >
        {data === undefined ? <div className={classes["pad"]}><Lines rows={6} height={24} /></div> : <Attention incidents={data.needs_attention} slug={slug} />}
      </Panel>
      <Panel className={classes["severity"]} title={t.overview.openBySeverity} aside={data && t.overview.open(count(total(data.open)))}>
        {data === undefined ? <Lines rows={5} /> : <BySeverity open={data.open} slug={slug} />}
      </Panel>
      <Panel className={classes["levels"]} title={t.overview.levels} aside={t.overview.lastDays}>
        {data === undefined ? <Lines rows={4} height={24} /> : <LevelShares shares={data.level_shares as Shares} />}
      </Panel>
      <Panel className={classes["plot"]} title={t.overview.perHour}>
        {data === undefined ? (
          <Skeleton height={200} />
        ) : (
          <Suspense fallback={<Skeleton height={200} />}>
            <HourlyPlot series={data.series} />
          </Suspense>
        )}
      </Panel>
    </div>
  );
}

function Tiles({ data }: { data: Figures | undefined }) {
  const decided = data === undefined ? 0 : total(data.levels);
  const alone = decided === 0 ? null : ((data?.levels.L1 ?? 0) + (data?.levels.L2 ?? 0)) / decided;
  return (
    <div className={classes["tiles"]}>
      <Tile name={t.overview.healTime} help={t.overview.healTimeHelp} value={data && (data.median_heal_seconds === null ? "–" : duration(data.median_heal_seconds))} />
      <Tile name={t.overview.alone} help={t.overview.aloneHelp} value={data && (alone === null ? "–" : percent(alone))} />
      <Tile name={t.overview.noise} help={t.overview.noiseHelp} value={data && (data.noise_removed_share === null ? "–" : percent(data.noise_removed_share))} />
      <Tile name={t.overview.saved} help={data === undefined ? "" : t.overview.savedHelp(data.saved.incidents, data.saved.minutes_per_incident)} value={data && t.overview.hours(data.saved.hours)} />
      <Tile name={t.overview.day} help={t.overview.dayHelp} value={data && t.overview.dayValue(count(data.exceptions_24h), count(data.incidents_24h))} />
    </div>
  );
}

function Tile({ name, value, help }: { name: string; value: ReactNode; help: string }) {
  return (
    <section className={classes["tile"]}>
      <h2>{name}</h2>
      {value === undefined ? <Skeleton height={30} width="60%" /> : <p className={classes["figure"]}>{value}</p>}
      <p className={classes["help"]}>{help}</p>
    </section>
  );
}

function Attention({ incidents, slug }: { incidents: Incident[]; slug: string }) {
  if (incidents.length === 0) {
    return (
      <Empty title={t.overview.calm}>
        <p>{t.overview.calmText}</p>
      </Empty>
    );
  }
  return (
    <ul className={classes["needs"]}>
      {incidents.map((incident) => (
        <li key={incident.id}>
          <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: slug, incidentId: incident.id }} className={classes["need"]}>
            <SeverityShape severity={incident.severity} />
            <span className={classes["needText"]}>
              <span className={classes["needTitle"]}>
                <span className="visually-hidden">{t.severity[incident.severity]}: </span>
                {incident.title}
              </span>
              <span className={classes["needWhere"]}>
                #{incident.number} · {incident.host ?? incident.site ?? incident.check_type} · <Ago at={incident.opened_at} />
              </span>
            </span>
            <StateMark state={incident.state} />
          </Link>
        </li>
      ))}
    </ul>
  );
}

function BySeverity({ open, slug }: { open: Figures["open"]; slug: string }) {
  const most = Math.max(1, ...SEVERITIES.map((severity) => open[severity] ?? 0));
  return (
    <ul className={classes["bars"]}>
      {SEVERITIES.map((severity) => (
        <li key={severity}>
          <Link to="/t/$tenant/incidents" params={{ tenant: slug }} search={{ severity: [severity], state: UNSETTLED }} className={classes["bar"]}>
            <SeverityMark severity={severity} />
            <span className={classes["track"]}>
              <span className={classes["fill"]} data-severity={severity} style={{ width: `${((open[severity] ?? 0) / most) * 100}%` }} />
            </span>
            <span className={classes["number"]}>{count(open[severity] ?? 0)}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function total(counts: Partial<Record<string, number>>): number {
  return Object.values(counts).reduce<number>((sum, n) => sum + (n ?? 0), 0);
}
