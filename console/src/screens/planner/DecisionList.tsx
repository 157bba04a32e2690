// Decisions of the planner, with how sure it was, what each cost, and what came of it.
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { decisionsQuery, type PlannerDecision } from "../../api/planner";
import type { Page } from "../../api/types";
import { count, percent } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Listing } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago } from "../../ui/parts";

interface DecisionListProps {
  list: UseInfiniteQueryResult<InfiniteData<Page<PlannerDecision>>>;
  empty: ReactNode;
  title?: string;
}

export function DecisionList({ list, empty, title }: DecisionListProps) {
  const tenant = useTenant();
  return (
    <Listing<PlannerDecision>
      list={list}
      {...(title === undefined ? {} : { title })}
      empty={empty}
      columns={[t.planner.incident, t.planner.choice, t.planner.sure, t.planner.cost, t.planner.result, t.planner.when]}
      row={(one) => (
        <>
          <td><Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: one.incident_id }}>{one.incident_title ?? one.incident_id}</Link></td>
          <td data-label={t.planner.choice}>
            {one.choice === null ? t.planner.outcomes[one.outcome] : <code>{one.choice}</code>}
            <div>{one.provider}{one.cached && `, ${t.planner.cached}`}</div>
          </td>
          <td data-figures data-label={t.planner.sure}>{one.choice === null ? "–" : percent(one.confidence)}{one.claimed > one.confidence && <div>{t.planner.claimedNote(percent(one.claimed))}</div>}</td>
          <td data-figures data-label={t.planner.cost}>{t.planner.money(one.cost.amount)}<div>{count(one.input_tokens + one.output_tokens)} {t.planner.tokens}</div></td>
          <td data-label={t.planner.result}>{one.result === null ? <Tag tone="quiet">{t.planner.notRun}</Tag> : <Tag tone={one.result === "healed" ? "good" : "person"}>{t.planner.results[one.result]}</Tag>}</td>
          <td data-label={t.planner.when}><Ago at={one.decided_at} /></td>
        </>
      )}
    />
  );
}

/** What the planner decided for one incident, where it decided anything. */
export function IncidentPlanning({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const may = useMay("planner:read");
  const list = useInfiniteQuery({ ...decisionsQuery(tenant.id, { incident_id: incidentId }), enabled: may });
  if (!may || list.data === undefined || list.data.pages[0]?.items.length === 0) return null;
  return <DecisionList list={list} title={t.planner.ofIncident} empty={null} />;
}
