// Whom a policy would tell and when, for an incident that one makes up; nothing is sent.
import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { PolicyDraft, PolicyTrial, Told } from "../../api/escalation";
import { dateTime } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Panel, Trouble } from "../../ui/parts";
import authoring from "../../ui/authoring.module.css";
import tables from "../../ui/table.module.css";
import classes from "./OnCall.module.css";
import { SeveritySelect } from "./fields";

/** Tries a policy that is being written; without one, those of the tenant, as an incident would. */
export function TryPolicy({ draft }: { draft: PolicyDraft | null }) {
  const tenant = useTenant();
  const [severity, setSeverity] = useState("high");
  const [checkType, setCheckType] = useState("");
  const [site, setSite] = useState("");
  const [at, setAt] = useState("");
  const run = useMutation({
    mutationFn: () =>
      request<PolicyTrial>("escalation/policies/try", {
        method: "POST", tenantId: tenant.id,
        body: {
          policy: draft, severity, check_type: checkType.trim() === "" ? null : checkType.trim(), site: site.trim() === "" ? null : site.trim(),
          at: at === "" ? null : new Date(at).toISOString(),
        },
      }),
  });
  return (
    <Panel title={draft === null ? t.escalations.tryAll : t.escalations.tryTitle} aside={<Button size="compact-sm" variant="default" loading={run.isPending} onClick={() => run.mutate()}>{t.escalations.tryRun}</Button>}>
      <p className={classes["soft"]}>{t.escalations.tryText}</p>
      <div className={authoring["grid"]}>
        <SeveritySelect label={t.escalations.severity} value={severity} onChange={setSeverity} />
        <TextInput label={t.escalations.checkType} maxLength={200} value={checkType} onChange={(event) => setCheckType(event.currentTarget.value)} />
        <TextInput label={t.escalations.site} maxLength={200} value={site} onChange={(event) => setSite(event.currentTarget.value)} />
        <TextInput type="datetime-local" label={t.escalations.at} description={t.escalations.atHelp} value={at} onChange={(event) => setAt(event.currentTarget.value)} />
      </div>
      {run.error !== null && <Trouble error={run.error} />}
      <div role="status">{run.data !== undefined && <Outcome trial={run.data} />}</div>
    </Panel>
  );
}

function Outcome({ trial }: { trial: PolicyTrial }) {
  if (trial.policy === null) return <p>{t.escalations.noneFits}</p>;
  return (
    <>
      <p>{t.escalations.byPolicy(trial.policy)}. {trial.quiet_until !== null && t.escalations.quietUntil(dateTime(trial.quiet_until))}</p>
      <table className={tables["table"]}>
        <thead><tr><th>{t.escalations.when}</th><th>{t.escalations.steps}</th><th>{t.escalations.targets}</th></tr></thead>
        <tbody>
          {trial.items.map((one) => (
            <tr key={`${one.at} ${one.turn} ${one.step}`}>
              <td data-label={t.escalations.when}><time dateTime={one.at}>{dateTime(one.at)}</time></td>
              <td data-label={t.escalations.steps}>{one.step === -1 ? t.escalations.theFallback : t.escalations.step(one.step + 1)}{one.turn > 0 && one.step !== -1 && ` (${t.escalations.turn(one.turn)})`}</td>
              <td data-label={t.escalations.targets}>
                <div>
                  {one.told.length === 0 && t.escalations.noOne}
                  {one.told.map((told, index) => <div key={index}>{inWords(told)}{told.why_not !== null && <span className={classes["warning"]}> {told.why_not}</span>}</div>)}
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {trial.more && <p className={classes["soft"]}>{t.escalations.moreSteps}</p>}
    </>
  );
}

function inWords({ person, channel }: Told): string {
  const who = person === null ? "" : `${person.name ?? t.onCall.gone}: `;
  return `${who}${channel ?? ""}`;
}
