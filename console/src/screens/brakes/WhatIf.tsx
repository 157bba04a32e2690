// What each level of autonomy would have done with the incidents of the last 30 days.
import { Select } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { whatIfIncidentsQuery, whatIfQuery, type WhatIf } from "../../api/brakes";
import { useAddressText } from "../../lib/search";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Listing } from "../../ui/Listing";
import { Empty, Lines, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";

export function WhatIfView() {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(whatIfQuery(tenant.id));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Panel><Lines rows={6} /></Panel>;
  if (data.considered === 0) return <Panel><Empty title={t.whatIf.none}><p>{t.whatIf.noneText}</p></Empty></Panel>;
  return (
    <>
      <p>{t.whatIf.intro}</p>
      <Levels found={data} />
      <p>{t.whatIf.raised(data.raised.acting, data.raised.healed, data.raised.failed)} {data.unproposed > 0 && t.whatIf.unproposed(data.unproposed)}</p>
      <Panel flush>
        <table className={tables["table"]}>
          <thead><tr><th>{t.whatIf.playbook}</th><th>{t.whatIf.incidents}</th><th>{t.whatIf.wouldAct}</th><th>{t.whatIf.healed}</th><th>{t.whatIf.failed}</th></tr></thead>
          <tbody>
            {data.by_playbook.map((one) => (
              <tr key={`${one.pack_id} ${one.playbook_id}`}>
                <td><code>{one.playbook_id ?? "–"}</code> {one.pack_id}</td>
                <td data-label={t.whatIf.incidents}>{one.incidents}</td>
                <td data-label={t.whatIf.wouldAct}>{one.acting}</td>
                <td data-label={t.whatIf.healed}>{one.healed}</td>
                <td data-label={t.whatIf.failed}>{one.failed}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
      <Otherwise />
    </>
  );
}

function Levels({ found }: { found: WhatIf }) {
  const rows: [string, Record<string, number>][] = [[t.whatIf.now, found.now], ...Object.entries(found.levels).map(([level, counts]): [string, Record<string, number>] => [t.whatIf.levels[level] ?? level, counts])];
  const effects = Object.keys(t.whatIf.effects).filter((effect) => rows.some(([, counts]) => (counts[effect] ?? 0) > 0));
  return (
    <Panel flush>
      <table className={tables["table"]}>
        <thead><tr><th>{t.whatIf.level}</th>{effects.map((effect) => <th key={effect}>{t.whatIf.effects[effect]}</th>)}</tr></thead>
        <tbody>
          {rows.map(([name, counts]) => (
            <tr key={name}><td>{name}</td>{effects.map((effect) => <td key={effect} data-label={t.whatIf.effects[effect]}>{counts[effect] ?? 0}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Otherwise() {
  const tenant = useTenant();
  const [level, setLevel] = useAddressText("level", "act");
  const list = useInfiniteQuery(whatIfIncidentsQuery(tenant.id, level));
  return (
    <>
      <Select
        size="xs" my="sm" label={t.whatIf.list} allowDeselect={false} value={level} onChange={(value) => setLevel(value ?? "act")}
        data={Object.entries(t.whatIf.levels).map(([value, label]) => ({ value, label }))}
      />
      <Listing
        list={list} empty={<Empty title={t.whatIf.same}><p>{t.whatIf.sameText}</p></Empty>}
        columns={[t.whatIf.incident, t.whatIf.was, t.whatIf.would, t.whatIf.outcome]}
        row={(one) => (
          <>
            <td><Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: one.id }}>#{one.number} {one.title}</Link></td>
            <td data-label={t.whatIf.was}>{t.whatIf.effects[one.now ?? ""] ?? "–"}</td>
            <td data-label={t.whatIf.would}>{t.whatIf.effects[one.would ?? ""] ?? "–"}</td>
            <td data-label={t.whatIf.outcome}>{one.outcome ?? "–"}</td>
          </>
        )}
      />
    </>
  );
}
