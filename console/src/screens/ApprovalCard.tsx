// One plan that waits for a person: what would be done, bound to the hash that the approval is for.
import { Button, Group } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../api/client";
import { approvalsQuery, refreshIncident } from "../api/queries";
import type { Accepted, Approval, JsonObject } from "../api/types";
import { dateTime, duration } from "../lib/format";
import { useNow } from "../lib/now";
import { asList, asObject, asText } from "../lib/story";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Ago, Facts, Fold, Hash, JsonView, Panel, Trouble } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import classes from "./IncidentPage.module.css";
import authoring from "../ui/authoring.module.css";

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
  const parameters = asObject(approval.plan["parameters"]);
  return (
    <>
      {approval.people > 1 && (
        <p className={classes["note"]}>
          {approval.votes.length === 0 ? t.two.needs : t.two.has(approval.votes.map((vote) => vote.voter).join(", "))}
        </p>
      )}
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
      {playbook !== null && <WhatWouldBeDone playbook={playbook} verify={asObject(approval.plan["verify"])} />}
      {parameters !== null && Object.keys(parameters).length > 0 && (
        <>
          <h3 className={classes["sub"]}>{t.approvalQueue.parameters}</h3>
          <JsonView value={parameters} label={t.approvalQueue.parameters} />
        </>
      )}
      <Fold title={t.approvals.whole}>
        <JsonView value={approval.plan} label={t.approvals.plan} />
      </Fold>
    </>
  );
}

function WhatWouldBeDone({ playbook, verify }: { playbook: JsonObject; verify: JsonObject | null }) {
  const steps = asList(playbook["steps"]).map((step) => asObject(step)).filter((step) => step !== null);
  const check = asText(verify?.["tool"]) ?? asText(asObject(playbook["verify"])?.["tool"]);
  return (
    <>
      <h3 className={classes["sub"]}>{t.approvalQueue.would}</h3>
      <ol>{steps.map((step, index) => <WouldStep key={index} step={step} />)}</ol>
      <p className={classes["note"]}>{check === null ? t.approvalQueue.noVerify : t.approvalQueue.verifies(check)}</p>
    </>
  );
}

function WouldStep({ step }: { step: JsonObject }) {
  const inner = asList(step["parallel"]).map((one) => asObject(one)).filter((one) => one !== null);
  const calls = asText(step["tool"]) ?? asText(step["playbook"]);
  const rollback = asText(asObject(step["rollback"])?.["tool"]);
  const input = asObject(step["with"]);
  return (
    <li>
      {asText(step["title"]) ?? asText(step["id"])} {calls !== null && <code>{calls}</code>}{" "}
      {rollback !== null && <span className={classes["stepTool"]}>{t.approvalQueue.undoneBy(rollback)}</span>}
      {input !== null && Object.keys(input).length > 0 && <Fold title={t.approvalQueue.input}><JsonView value={input} label={t.approvalQueue.input} /></Fold>}
      {inner.length > 0 && <ul>{inner.map((one, index) => <WouldStep key={index} step={one} />)}</ul>}
    </li>
  );
}

const SOON_MS = 10 * 60_000;

/** How long there is to decide. */
export function Countdown({ until }: { until: string }) {
  const left = Date.parse(until) - useNow();
  return (
    <span className={authoring["countdown"]} data-soon={left < SOON_MS} title={`${t.approvalQueue.expiresAt} ${dateTime(until)}`}>
      {left <= 0 ? t.approvalQueue.over : t.approvalQueue.left(duration(left / 1000))}
    </span>
  );
}

export type Verb = "approve" | "reject";

interface ApprovalButtonsProps {
  approval: Approval;
  /** Where a list keeps what is asked for, so that its keys can ask, too. */
  asking?: Verb | null;
  onAsk?: (verb: Verb | null) => void;
}

export function ApprovalButtons({ approval, asking: given, onAsk }: ApprovalButtonsProps) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [own, setOwn] = useState<Verb | null>(null);
  const asking = onAsk === undefined ? own : (given ?? null);
  const setAsking = onAsk ?? setOwn;
  const decide = useMutation({
    mutationFn: ({ verb, reason }: { verb: Verb; reason: string }) =>
      request<Accepted & { left?: number }>(`approvals/${approval.id}/${verb}`, {
        method: "POST", tenantId: tenant.id, body: { reason, plan_hash: approval.plan_hash },
      }),
    onSuccess: (answer, { verb }) => {
      notifications.show({ message: (answer.left ?? 0) > 0 ? t.two.given : t.approvals.done[verb] });
      refreshIncident(client, tenant.id, approval.incident_id);
      setAsking(null);
    },
  });
  if (!approval.may_decide) return <p className={classes["note"]}>{t.approvals.mayNot(approval.approvers)}</p>;
  const ask = (verb: Verb) => () => {
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
