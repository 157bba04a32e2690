// Runs a playbook on an incident by hand, and shows what it would do; both ask for incident and parameters.
import { Button, Group, Modal, Stack, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Playbook, PlaybookDryRun, RunByHand } from "../../api/authoring";
import { request } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import type { JsonObject } from "../../api/types";
import { useAddressText } from "../../lib/search";
import { asObject } from "../../lib/story";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { JsonView, Notice, Trouble } from "../../ui/parts";
import { faultsBelow, SchemaForm } from "../../ui/SchemaForm";
import classes from "../../ui/authoring.module.css";
import tables from "../../ui/table.module.css";

function Parameters({ playbook, value, onChange, error }: { playbook: { parameters: JsonObject }; value: JsonObject; onChange: (value: JsonObject) => void; error: Error | null }) {
  if (Object.keys(playbook.parameters).length === 0) return null;
  const required = Object.entries(playbook.parameters)
    .filter(([, given]) => { const schema = asObject(given); return schema?.["default"] === undefined && schema?.["optional"] !== true; })
    .map(([name]) => name);
  const schema: JsonObject = { type: "object", properties: playbook.parameters, required };
  return (
    <fieldset className={classes["section"]}>
      <legend>{t.playbooks.parameters}</legend>
      <SchemaForm schema={schema} value={value} onChange={onChange} faults={error instanceof ApiProblem ? faultsBelow("/parameters", error.faults) : {}} />
    </fieldset>
  );
}

export function RunDialog({ playbook, onClose }: { playbook: Playbook; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [incident, setIncident] = useAddressText("incident");
  const [reason, setReason] = useState("");
  const [parameters, setParameters] = useState<JsonObject>({});
  const run = useMutation({
    mutationFn: () =>
      request<RunByHand>(`playbooks/${encodeURIComponent(playbook.id)}/run`, {
        method: "POST", tenantId: tenant.id, body: { incident_id: incident.trim(), reason: reason.trim(), parameters },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "runs"] }),
  });
  const answer = run.data;
  return (
    <Modal opened onClose={onClose} title={t.playbooks.runTitle(playbook.id)} size="lg" closeButtonProps={{ "aria-label": t.common.close }}>
      {answer === undefined ? (
        <form onSubmit={(event) => { event.preventDefault(); run.mutate(); }}>
          <Stack gap="sm">
            <p style={{ margin: 0 }}>{t.playbooks.runText}</p>
            <TextInput label={t.playbooks.incident} description={t.playbooks.incidentHelp} required data-autofocus maxLength={36} value={incident} onChange={(event) => setIncident(event.currentTarget.value)} />
            <Parameters playbook={playbook} value={parameters} onChange={setParameters} error={run.error} />
            <Textarea label={t.playbooks.reason} required autosize minRows={2} maxLength={1000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
            {run.error !== null && <Trouble error={run.error} />}
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
              <Button type="submit" loading={run.isPending} disabled={incident.trim() === "" || reason.trim() === ""}>{t.playbooks.run}</Button>
            </Group>
          </Stack>
        </form>
      ) : (
        <Stack gap="sm">
          <Notice title={answer.decision === "started" ? t.playbooks.started : t.playbooks.asked}>{answer.detail}</Notice>
          <Group justify="flex-end" gap="xs">
            {answer.decision === "started" ? (
              <Button renderRoot={(props: object) => <Link to="/t/$tenant/playbooks/$playbookId" params={{ tenant: tenant.slug, playbookId: playbook.id }} search={{ tab: "runs", run: answer.id }} {...props} />} onClick={onClose}>{t.playbooks.openRun}</Button>
            ) : (
              <Button renderRoot={(props: object) => <Link to="/t/$tenant/approvals" params={{ tenant: tenant.slug }} search={{ id: answer.id }} {...props} />}>{t.playbooks.openApproval}</Button>
            )}
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

/** Without a draft the stored playbook is tried, with one what stands in the editor. */
export function DryRunOfPlaybook({ playbook, draft }: { playbook: Pick<Playbook, "id" | "parameters">; draft: string | null }) {
  const tenant = useTenant();
  const [incident, setIncident] = useAddressText("incident");
  const [parameters, setParameters] = useState<JsonObject>({});
  const dryRun = useMutation({
    mutationFn: () => {
      const about = incident.trim() === "" ? { incident: { host: "host-1", check_type: "example", severity: "high", title: "An example" } } : { incident_id: incident.trim() };
      const path = draft === null ? `playbooks/${encodeURIComponent(playbook.id)}/dry-run` : "playbooks/dry-run";
      return request<PlaybookDryRun>(path, { method: "POST", tenantId: tenant.id, body: { parameters, ...about, ...(draft === null ? {} : { yaml: draft }) } });
    },
  });
  return (
    <Stack gap="sm">
      <p className={classes["headText"]}>{t.playbooks.dryRunHelp}</p>
      <TextInput label={t.ruleEditor.incidentId} maxLength={36} value={incident} onChange={(event) => setIncident(event.currentTarget.value)} />
      <Parameters playbook={playbook} value={parameters} onChange={setParameters} error={dryRun.error} />
      <Group><Button size="xs" loading={dryRun.isPending} onClick={() => dryRun.mutate()}>{t.playbooks.dryRun}</Button></Group>
      {dryRun.error !== null && <Trouble error={dryRun.error} />}
      {dryRun.data !== undefined && (
        <div className={classes["scroll"]} role="status">
          <table className={tables["table"]}>
            <thead><tr><th>{t.playbooks.step}</th><th>{t.playbooks.tool}</th><th>{t.playbooks.input}</th><th>{t.playbooks.would}</th></tr></thead>
            <tbody>
              {dryRun.data.steps.map((step) => (
                <tr key={step.path}>
                  <td>
                    <code>{step.path}</code> {step.title} <Tag tone={step.runs === false ? "quiet" : "plain"}>{step.runs === null ? t.playbooks.runs.later : step.runs ? t.playbooks.runs.yes : t.playbooks.runs.no}</Tag>
                  </td>
                  <td data-label={t.playbooks.tool}><code>{step.tool ?? step.kind}</code></td>
                  <td data-label={t.playbooks.input}><JsonView value={step.input} label={t.playbooks.input} />{step.depends_on_steps && <span className={classes["soft"]}>{t.playbooks.dependsOnSteps}</span>}</td>
                  <td data-label={t.playbooks.would}>{step.error === null ? <JsonView value={step.would} label={t.playbooks.would} /> : <span role="alert" className={classes["problems"]}>{step.error}</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Stack>
  );
}
