// What another policy would have changed, before it holds.
import { Button, Group } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { PolicyPreview } from "../../api/authoring";
import { request } from "../../api/client";
import type { JsonObject } from "../../api/types";
import { count } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Trouble } from "../../ui/parts";
import classes from "../../ui/authoring.module.css";
import tables from "../../ui/table.module.css";

const OUTCOMES = ["act", "approve", "suggest", "observe", "refused"];

export function PolicyEffect({ policy }: { policy: JsonObject | null }) {
  const tenant = useTenant();
  const preview = useMutation({
    mutationFn: (wanted: JsonObject) => request<PolicyPreview>("policy/preview", { method: "POST", tenantId: tenant.id, body: { policy: wanted } }),
  });
  const found = preview.data;
  return (
    <>
      <p className={classes["headText"]}>{t.policy.previewHelp}</p>
      <Group><Button size="xs" disabled={policy === null} loading={preview.isPending} onClick={() => policy !== null && preview.mutate(policy)}>{t.policy.preview}</Button></Group>
      {preview.error !== null && <Trouble error={preview.error} />}
      {found !== undefined && (
        <div role="status">
          <p>{t.policy.considered(found.considered)} <b>{t.policy.changed(found.changed)}</b> {found.truncated && t.policy.truncated}</p>
          <div className={classes["scroll"]}>
            <table className={tables["table"]}>
              <thead><tr><th>{t.policy.outcome}</th><th data-figures>{t.diff.before}</th><th data-figures>{t.diff.after}</th></tr></thead>
              <tbody>
                {OUTCOMES.map((outcome) => (
                  <tr key={outcome}>
                    <td>{t.policy.levels[outcome]}</td>
                    <td data-figures data-label={t.diff.before}>{count(found.before[outcome] ?? 0)}</td>
                    <td data-figures data-label={t.diff.after}>{count(found.after[outcome] ?? 0)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {found.examples.length > 0 && (
            <div className={classes["scroll"]}>
              <table className={tables["table"]}>
                <thead><tr><th>{t.policy.incident}</th><th>{t.policy.rule}</th><th>{t.diff.before}</th><th>{t.diff.after}</th></tr></thead>
                <tbody>
                  {found.examples.map((one) => (
                    <tr key={one.id}>
                      <td><Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: one.id }}>#{count(one.number)} {one.title}</Link></td>
                      <td data-label={t.policy.rule}><code>{one.rule_id}</code></td>
                      <td data-label={t.diff.before}>{t.policy.levels[one.before]}</td>
                      <td data-label={t.diff.after}>{t.policy.levels[one.after]}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </div>
      )}
    </>
  );
}
