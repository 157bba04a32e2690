// What else was out of order around an incident, and what it has in common with it.
import { useQuery } from "@tanstack/react-query";
import { relatedQuery } from "../../api/incidentWork";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Ago, Lines, Trouble } from "../../ui/parts";
import { OtherIncident } from "./Links";
import classes from "./work.module.css";

const SHOWN = 12;

export function RelatedIncidents({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(relatedQuery(tenant.id, incidentId));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={3} />;
  if (data.length === 0) return <p className={classes["note"]}>{t.work.related.none}</p>;
  return (
    <ul className={classes["linkList"]}>
      {data.slice(0, SHOWN).map(({ incident, shares }) => (
        <li key={incident.id}>
          <OtherIncident incident={incident} />
          <span className={classes["says"]}>{shares.map((share) => t.work.related.shares[share]).join(", ")} · <Ago at={incident.opened_at} /></span>
        </li>
      ))}
    </ul>
  );
}
