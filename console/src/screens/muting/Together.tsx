// Incidents that may belong together with this one: confirmed, which links them, or dismissed.
import { Button, Group } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { request } from "../../api/client";
import { correlationsQuery, type Correlation } from "../../api/mutes";
import { incidentKey } from "../../api/queries";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { SeverityMark, Tag } from "../../ui/marks";
import { Panel, Trouble } from "../../ui/parts";

export function Together({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const groups = useQuery(correlationsQuery(tenant.id, incidentId));
  if (groups.data === undefined || groups.data.items.length === 0) return null;
  return <Panel title={t.why.together}>{groups.data.items.map((group) => <Candidate key={group.id} group={group} incidentId={incidentId} />)}</Panel>;
}

function Candidate({ group, incidentId }: { group: Correlation; incidentId: string }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("incidents:write");
  const decide = useMutation({
    mutationFn: (verdict: "confirm" | "dismiss") => request<Correlation>(`correlations/${group.id}/${verdict}`, { method: "POST", tenantId: tenant.id, body: { version: group.version } }),
    onSettled: () => client.invalidateQueries({ queryKey: incidentKey(tenant.id, incidentId) }),
  });
  return (
    <>
      <p style={{ marginTop: 0 }}>{t.why.togetherText(group.title, group.key)} {group.state !== "candidate" && <Tag tone="quiet">{t.why[group.state]}</Tag>}</p>
      <ul>
        {group.members.map((one) => (
          <li key={one.id}>
            <SeverityMark severity={one.severity} />{" "}
            <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: one.id }}>{one.number} {one.title}</Link>
            {one.id === group.cause_id && <> <Tag tone="plain">{t.why.cause}</Tag></>}
          </li>
        ))}
      </ul>
      {decide.error !== null && <Trouble error={decide.error} />}
      {mayWrite && group.state === "candidate" && (
        <Group gap="xs">
          <Button size="xs" loading={decide.isPending} onClick={() => decide.mutate("confirm")}>{t.why.confirm}</Button>
          <Button size="xs" variant="default" loading={decide.isPending} onClick={() => decide.mutate("dismiss")}>{t.why.dismiss}</Button>
        </Group>
      )}
    </>
  );
}
