// Whether the parts of the platform answer, how fast, how far its work is behind, and which version runs.
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import type { HealthPart, PartStatus } from "../../api/platform";
import { healthQuery, lagQuery } from "../../api/platformQueries";
import type { Json } from "../../api/types";
import { count, words } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconCheck, IconCross, IconPause } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Facts, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import classes from "./Health.module.css";

const HealthPlot = lazy(() => import("./HealthPlot").then((module) => ({ default: module.HealthPlot })));

const TONES: Record<PartStatus, "good" | "waiting" | "person"> = { ok: "good", degraded: "waiting", down: "person" };
const SHAPES: Record<PartStatus, typeof IconCheck> = { ok: IconCheck, degraded: IconPause, down: IconCross };

export function Health() {
  const { data, error, refetch } = useQuery(healthQuery());
  return (
    <>
      <title>{t.pageTitle(t.nav.health)}</title>
      <PageHead title={t.nav.health}>{data !== undefined && <StatusMark status={data.health.status} />}</PageHead>
      {error !== null && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={6} /></Panel>}
      {data !== undefined && (
        <>
          <div className={classes["parts"]}>
            {Object.entries(data.health.parts).map(([name, part]) => <Part key={name} name={name} part={part} />)}
            <Panel title={t.health.versions}>
              <Facts items={[[t.health.platform, data.health.version], [t.health.workers, <Workers key="workers" />]]} />
            </Panel>
          </div>
          <Panel title={t.health.latency}>
            <Suspense fallback={<Skeleton height={236} />}><HealthPlot health={data.health} at={data.at} /></Suspense>
          </Panel>
        </>
      )}
    </>
  );
}

function StatusMark({ status }: { status: PartStatus }) {
  const Shape = SHAPES[status];
  return <Tag tone={TONES[status]}><Shape width="0.875rem" height="0.875rem" /> {t.health.status[status]}</Tag>;
}

function Part({ name, part }: { name: string; part: HealthPart }) {
  const facts: [string, string][] = [[t.health.answered, t.health.ms(part.latency_ms)], ...Object.entries(part.detail).map(([key, value]): [string, string] => [words(key), shown(value)])];
  return (
    <Panel title={t.health.part[name] ?? words(name)} aside={<StatusMark status={part.status} />}>
      <Facts items={facts} />
      {part.status !== "ok" && <p className={classes["advice"]}>{t.health.advice[name] ?? t.health.adviceOther}</p>}
    </Panel>
  );
}

/* The readers of the event store are the workers' own count of what they have not done yet. */
function Workers() {
  const tenant = useTenant();
  const may = useMay("events:read");
  const { data } = useQuery({ ...lagQuery(tenant.id), enabled: may });
  if (!may || data === undefined) return <>–</>;
  const behind = data.groups.filter((group) => group.events > 0).length;
  return <Link to="/t/$tenant/events" params={{ tenant: tenant.slug }} search={{ view: "readers" }}>{t.health.readers(data.groups.length, behind)}</Link>;
}

function shown(value: Json): string {
  if (typeof value === "number") return count(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
