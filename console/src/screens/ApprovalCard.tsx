// One plan that waits for a person: what would be done, bound to the hash that the approval is for.
import { Button, Group } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../api/client";
import { approvalsQuery, refreshIncident } from "../api/queries";
import type { Accepted, Approval } from "../api/types";
import { asList, asObject, asText } from "../lib/story";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Ago, Facts, Fold, Hash, JsonView, Panel, Trouble } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import classes from "./IncidentPage.module.css";

export function ApprovalOfIncident({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(approvalsQuery(tenant.id, { state: "pending", incident_id: incidentId }));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  const approval = data?.items[0];
  if (approval === undefined) return null;
  return (
    <Panel title={t.approvals.waits} className={classes["approval"]}>
      <PlanFacts approval={approval} />
      <ApprovalButtons approval={approval} />
    </Panel>
  );
}

export function PlanFacts({ approval }: { approval: Approval }) {
  const playbook = asObject(approval.plan["playbook"]);
  const title = asText(playbook?.["title"]) ?? asText(approval.plan["playbook"]) ?? asText(playbook?.["id"]);
  const steps = asList(playbook?.["steps"]).map((step) => asObject(step)).filter((step) => step !== null);
  return (
    <>
      <p className={classes["note"]}>
        {approval.kind === "suggestion" ? t.approvals.suggestion : approval.reason}{" "}
        {approval.path !== null && t.approvals.ofStep(approval.path)}
      </p>
      <Facts
        items={[
          [t.approvals.plan, title ?? "–"],
          [t.approvals.asked, <Ago key="asked" at={approval.requested_at} />],
          [t.approvals.expires, <Ago key="expires" at={approval.expires_at} />],
          [t.approvals.rule, <code key="rule">{approval.rule_id ?? "–"}</code>],
          ...(approval.host === null ? [] : [[t.incident.facts.host, approval.host] as [string, string]]),
          [t.approvals.hash, <Hash key="hash" value={approval.plan_hash} label={t.approvals.hash} />],
        ]}
      />
      {steps.length > 0 && (
        <ol>
          {steps.map((step, index) => (
            <li key={index}>{asText(step["title"]) ?? asText(step["id"])} {asText(step["tool"]) !== null && <code>{asText(step["tool"])}</code>}</li>
          ))}
        </ol>
      )}
      <Fold title={t.approvals.whole}>
        <JsonView value={approval.plan} label={t.approvals.plan} />
      </Fold>
    </>
  );
}

export function ApprovalButtons({ approval }: { approval: Approval }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [asking, setAsking] = useState<"approve" | "reject" | null>(null);
  const decide = useMutation({
    mutationFn: ({ verb, reason }: { verb: "approve" | "reject"; reason: string }) =>
      request<Accepted>(`approvals/${approval.id}/${verb}`, {
        method: "POST", tenantId: tenant.id, body: { reason, plan_hash: approval.plan_hash },
      }),
    onSuccess: (_answer, { verb }) => {
      notifications.show({ message: t.approvals.done[verb] });
      refreshIncident(client, tenant.id, approval.incident_id);
      setAsking(null);
    },
  });
  if (!approval.may_decide) return <p className={classes["note"]}>{t.approvals.mayNot(approval.approvers)}</p>;
  const ask = (verb: "approve" | "reject") => () => {
    decide.reset();
    setAsking(verb);
  };
  return (
    <Group gap="xs" mt="sm">
      <Button size="xs" onClick={ask("approve")}>{t.approvals.approve}</Button>
      <Button size="xs" variant="default" onClick={ask("reject")}>{t.approvals.reject}</Button>
      <ReasonDialog
        opened={asking !== null} title={asking === null ? "" : t.approvals[asking]} consequence={asking === null ? "" : t.approvals.consequence[asking]}
        confirm={asking === null ? "" : t.approvals[asking]} {...(asking === "reject" ? { color: "red" } : {})}
        pending={decide.isPending} error={decide.error} onClose={() => setAsking(null)}
        onConfirm={(reason) => asking !== null && decide.mutate({ verb: asking, reason })}
      />
    </Group>
  );
}
