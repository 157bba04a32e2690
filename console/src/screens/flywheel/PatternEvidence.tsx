// What was tried for a pattern, what a rule would take, and the rule that would grow.
import { useQuery } from "@tanstack/react-query";
import { patternQuery, type Choice } from "../../api/flywheel";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Fold, JsonView, Lines, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";

export function PatternEvidence({ pattern }: { pattern: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(patternQuery(tenant.id, pattern));
  if (data === undefined) return error === null ? <Lines rows={4} /> : <Trouble error={error} onRetry={() => void refetch()} />;
  if (data.choices.length === 0) return <p>{t.flywheel.noChoices}</p>;
  return data.choices.map((choice) => <OneChoice key={choice.choice} choice={choice} />);
}

function OneChoice({ choice }: { choice: Choice }) {
  return (
    <section aria-label={choice.choice}>
      <h3><code>{choice.choice}</code></h3>
      <p>{t.flywheel.recent(choice.recent)}</p>
      <Criteria criteria={choice.criteria} />
      {choice.detail !== null && <p>{choice.detail}</p>}
      {choice.rule !== null && <Fold title={t.flywheel.wouldGrow}><JsonView value={choice.rule} label={t.flywheel.wouldGrow} /></Fold>}
    </section>
  );
}

export function Criteria({ criteria }: { criteria: Choice["criteria"] }) {
  return (
    <table className={tables["table"]}>
      <thead><tr><th>{t.flywheel.evidence}</th><th>{t.flywheel.wanted}</th><th>{t.flywheel.found}</th><th>{t.flywheel.met}</th></tr></thead>
      <tbody>
        {criteria.map((one) => (
          <tr key={one.name}>
            <td>{t.flywheel.criterion[one.name] ?? one.name}</td>
            <td data-label={t.flywheel.wanted}>{one.wanted}</td>
            <td data-label={t.flywheel.found}>{one.found}</td>
            <td data-label={t.flywheel.met}><Tag tone={one.met ? "good" : "waiting"}>{one.met ? t.flywheel.met : t.flywheel.notMet}</Tag></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
