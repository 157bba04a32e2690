// Runs that a limit holds: why, and when each is looked at again.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { heldQuery } from "../../api/brakes";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Listing } from "../../ui/Listing";
import { Ago, Empty } from "../../ui/parts";

export function HeldRuns() {
  const tenant = useTenant();
  const list = useInfiniteQuery(heldQuery(tenant.id));
  return (
    <Listing
      list={list} empty={<Empty title={t.held.none}><p>{t.held.noneText}</p></Empty>}
      columns={[t.held.incident, t.held.playbook, t.held.host, t.held.why, t.held.until, t.held.since]}
      row={(run) => (
        <>
          <td>
            {run.incident_id === null
              ? "–"
              : <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: run.incident_id }}>#{run.incident_number} {run.incident_title}</Link>}
          </td>
          <td data-label={t.held.playbook}><code>{run.playbook_id}</code></td>
          <td data-label={t.held.host}>{run.host ?? "–"}</td>
          <td data-label={t.held.why}>{run.detail}</td>
          <td data-label={t.held.until}><Ago at={run.until} /></td>
          <td data-label={t.held.since}><Ago at={run.since} /></td>
        </>
      )}
    />
  );
}
