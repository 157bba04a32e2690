// One incident, whole and live: what happened, why it was decided so, what was done, and the proof.
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { incidentQuery, timelineQuery } from "../api/queries";
import type { IncidentDetail } from "../api/types";
import { useShortcuts } from "../lib/keyboard";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconBack } from "../ui/icons";
import { LevelMark, SeverityMark, StateMark } from "../ui/marks";
import { JsonTree } from "../ui/JsonTree";
import { Ago, Facts, Lines, Panel, Trouble } from "../ui/parts";
import { ApprovalOfIncident } from "./ApprovalCard";
import { IncidentActions } from "./IncidentActions";
import { IncidentDecision } from "./IncidentDecision";
import { IncidentEvidence } from "./IncidentEvidence";
import { IncidentSteps } from "./IncidentSteps";
import { IncidentTimeline } from "./IncidentTimeline";
import { IncidentTrack } from "./IncidentTrack";
import { Comments } from "./incidents/Comments";
import { Links, MergedInto } from "./incidents/Links";
import { RelatedIncidents } from "./incidents/RelatedIncidents";
import { WhoWasTold } from "./incidents/WhoWasTold";
import { Storm } from "./muting/Storm";
import { Together } from "./muting/Together";
import { WhyTold } from "./muting/WhyTold";
import classes from "./IncidentPage.module.css";

/** What the one incident of a storm names as its source. */
const STORM = "fettle:storm";

export function IncidentPage() {
  const tenant = useTenant();
  const { incidentId } = useParams({ from: "/t/$tenant/incidents/$incidentId" });
  const incident = useQuery(incidentQuery(tenant.id, incidentId));
  const timeline = useQuery(timelineQuery(tenant.id, incidentId));
  useShortcuts({ u: () => window.history.back() });

  if (incident.error !== null && incident.data === undefined) {
    return (
      <>
        <BackLink />
        <Trouble error={incident.error} onRetry={() => void incident.refetch()} />
      </>
    );
  }
  return (
    <article>
      <BackLink />
      {incident.data === undefined ? <HeadSkeleton /> : <Head incident={incident.data} />}
      {incident.data?.merged_into != null && <MergedInto incidentId={incidentId} />}
      <Panel className={classes["trackPanel"]}>
        <IncidentTrack events={timeline.data?.events} state={incident.data?.state} />
      </Panel>
      <div className={classes["columns"]}>
        <div className={classes["column"]}>
          {(incident.data?.state === "awaiting_approval" || incident.data?.state === "escalated") && <ApprovalOfIncident incidentId={incidentId} />}
          <Panel title={t.incident.happened}>
            {incident.data === undefined ? <Lines rows={4} /> : <Happened incident={incident.data} />}
          </Panel>
          <Panel title={t.incident.why}>
            {incident.data === undefined ? <Lines rows={4} /> : <IncidentDecision incident={incident.data} events={timeline.data?.events ?? []} />}
          </Panel>
          <Panel title={t.incident.steps}>
            {incident.data === undefined ? <Lines rows={3} /> : <IncidentSteps incident={incident.data} />}
          </Panel>
          <Panel title={t.told.title}>
            {incident.data === undefined ? <Lines rows={2} /> : <WhoWasTold incident={incident.data} />}
          </Panel>
          <Panel title={t.why.title}>
            {incident.data === undefined ? <Lines rows={2} /> : <WhyTold incident={incident.data} />}
          </Panel>
          {incident.data?.source === STORM && <Storm incidentId={incidentId} />}
          <Together incidentId={incidentId} />
          <Panel title={t.work.comments.title}>
            <Comments incidentId={incidentId} />
          </Panel>
          <Panel title={t.work.links.title}>
            <Links incidentId={incidentId} />
          </Panel>
          <Panel title={t.work.related.title} aside={t.work.related.lead}>
            <RelatedIncidents incidentId={incidentId} />
          </Panel>
          <Panel title={t.incident.evidence}>
            {incident.data === undefined ? <Lines rows={2} /> : <IncidentEvidence incident={incident.data} />}
          </Panel>
        </div>
        <IncidentTimeline timeline={timeline} />
      </div>
    </article>
  );
}

function BackLink() {
  const tenant = useTenant();
  return (
    <Link to="/t/$tenant/incidents" params={{ tenant: tenant.slug }} className={classes["back"]}>
      <IconBack width="0.9rem" /> {t.nav.incidents}
    </Link>
  );
}

function Head({ incident }: { incident: IncidentDetail }) {
  return (
    <header className={classes["head"]}>
      <title>{t.pageTitle(`#${incident.number} ${incident.title}`)}</title>
      <div className={classes["headText"]}>
        <h1>
          <span className={classes["number"]}>#{incident.number}</span> {incident.title}
        </h1>
        <div className={classes["marks"]}>
          <StateMark state={incident.state} />
          <SeverityMark severity={incident.severity} />
          {incident.level !== null && <LevelMark level={incident.level} />}
          {incident.host !== null && <span>{incident.host}</span>}
          <span>{t.incident.opened} <Ago at={incident.opened_at} /></span>
          {incident.resolved_at !== null && (
            <span>{t.incident.resolved} <Ago at={incident.resolved_at} /></span>
          )}
        </div>
      </div>
      <IncidentActions incident={incident} />
    </header>
  );
}

function HeadSkeleton() {
  return (
    <header className={classes["head"]}>
      <div className={classes["headText"]}>
        <Skeleton height={28} width="22rem" maw="90%" />
        <Skeleton height={18} mt={8} width="15rem" />
      </div>
    </header>
  );
}

function Happened({ incident }: { incident: IncidentDetail }) {
  const labels = Object.entries(incident.labels);
  return (
    <>
      {incident.summary !== null && incident.summary !== incident.title && <p className={classes["summary"]}>{incident.summary}</p>}
      <Facts
        items={[
          [t.incident.facts.check, <code key="check">{incident.check_type}</code>],
          [t.incident.facts.host, incident.host ?? "–"],
          [t.incident.facts.site, incident.site ?? "–"],
          [t.incident.facts.platform, incident.platform ?? "–"],
          [t.incident.facts.source, incident.source ?? "–"],
          [t.incident.facts.pack, incident.pack_id ?? "–"],
          [t.incident.facts.seen, <span key="seen">{t.incidents.occurrences(incident.occurrences)}, <Ago at={incident.last_seen_at} /></span>],
          ...(incident.resolution === null ? [] : [[t.incident.facts.resolution, incident.resolution] as [string, string]]),
        ]}
      />
      {labels.length > 0 && (
        <ul className={classes["labels"]} aria-label={t.incident.labels}>
          {labels.map(([name, value]) => <li key={name}><span>{name}</span> {value}</li>)}
        </ul>
      )}
      {Object.keys(incident.details).length > 0 && (
        <div className={classes["details"]}><JsonTree value={incident.details} label={t.incident.details} /></div>
      )}
    </>
  );
}
