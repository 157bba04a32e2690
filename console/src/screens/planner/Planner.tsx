// The planner: whom it asks and how they are, budgets, costs, how well confidence comes true, and its last decisions.
import { Select, Stack, Tabs } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { decisionsQuery, OUTCOMES, plannerQuery, usageQuery, type Planner as PlannerShown, type Usage } from "../../api/planner";
import type { ChainLink } from "../../api/types";
import { count, percent } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Empty, Facts, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { TimePlot, type PlotLine } from "../../ui/TimePlot";
import { DecisionList } from "./DecisionList";
import { ReliabilityPlot } from "./ReliabilityPlot";

export function Planner() {
  const tenant = useTenant();
  const shown = useQuery(plannerQuery(tenant.id));
  const [tab, setTab] = useAddressText("tab", "decisions");
  return (
    <>
      <title>{t.pageTitle(t.planner.title)}</title>
      <PageHead title={t.planner.title} />
      <p>{t.planner.lead}</p>
      {shown.error !== null && shown.data === undefined && <Trouble error={shown.error} onRetry={() => void shown.refetch()} />}
      {shown.data === undefined && shown.error === null && <Panel><Lines rows={8} /></Panel>}
      {shown.data !== undefined && <Shown planner={shown.data} />}
      <Tabs value={tab} onChange={(value) => setTab(value ?? "")} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="decisions">{t.planner.decisions}</Tabs.Tab>
          <Tabs.Tab value="day">{t.planner.by.day}</Tabs.Tab>
          <Tabs.Tab value="month">{t.planner.by.month}</Tabs.Tab>
          <Tabs.Tab value="model">{t.planner.by.model}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="decisions"><Decisions /></Tabs.Panel>
        {(["day", "month", "model"] as const).map((by) => <Tabs.Panel key={by} value={by}><Costs by={by} /></Tabs.Panel>)}
      </Tabs>
    </>
  );
}

function Shown({ planner }: { planner: PlannerShown }) {
  const tenant = useTenant();
  return (
    <Stack gap="md" mb="md">
      <p style={{ margin: 0 }}>
        {planner.enabled ? t.planner.prose[planner.prose] : <>{t.planner.off} <Link to="/t/$tenant/policy" params={{ tenant: tenant.slug }}>{t.planner.toPolicy}</Link></>} {planner.sovereign && t.planner.sovereign} {planner.waiting > 0 && t.planner.waiting(planner.waiting)}
      </p>
      <Panel flush title={t.planner.chain} aside={t.planner.chainNote}>
        {planner.chain.length === 0 ? <Empty title={t.planner.noChain}><p>{t.planner.noChainText}</p></Empty> : (
          <table className={tables["table"]}>
            <thead><tr><th>{t.planner.provider}</th><th>{t.planner.health}</th><th data-figures>{t.planner.answered}</th><th data-figures>{t.planner.latency}</th></tr></thead>
            <tbody>{planner.chain.map((link) => <ChainRow key={link.name} link={link} />)}</tbody>
          </table>
        )}
      </Panel>
      <Panel title={t.planner.budgets}>
        <Facts
          items={planner.budgets.map((budget) => [
            t.planner.budget[budget.kind],
            <span key={budget.kind}>
              {budget.most === null ? t.planner.unlimited(budget.used) : t.planner.used(budget.used, budget.most)} {budget.is_used_up && <Tag tone="person">{t.planner.usedUp}</Tag>}
            </span>,
          ])}
        />
      </Panel>
      <Panel title={t.planner.calibration} aside={planner.calibration.error === null ? "" : t.planner.error(percent(planner.calibration.error), planner.calibration.number)}>
        {planner.calibration.points.length === 0 ? <Empty title={t.planner.noCalibration}><p>{t.planner.noCalibrationText}</p></Empty> : <ReliabilityPlot points={planner.calibration.points} />}
        <p>{t.planner.corrected(planner.calibration.corrects_from)}</p>
      </Panel>
    </Stack>
  );
}

function ChainRow({ link }: { link: ChainLink }) {
  return (
    <tr>
      <td><code>{link.name}</code>{!link.is_charged && <div>{t.planner.free}</div>}</td>
      <td data-label={t.planner.health}><Tag tone={link.breaker === "closed" ? "good" : link.breaker === "open" ? "person" : "waiting"}>{t.planner.breaker[link.breaker]}</Tag></td>
      <td data-figures data-label={t.planner.answered}>{t.planner.ofAsked(link.answered_today, link.asked_today)}</td>
      <td data-figures data-label={t.planner.latency}>{link.mean_latency_ms === null ? "–" : `${count(link.mean_latency_ms)} ms`}</td>
    </tr>
  );
}

function Decisions() {
  const tenant = useTenant();
  const [outcome, setOutcome] = useAddressText("outcome");
  const list = useInfiniteQuery(decisionsQuery(tenant.id, outcome === "" ? {} : { outcome }));
  return (
    <>
      <search style={{ marginBottom: "0.75rem" }}>
        <Select
          size="xs" w="12rem" aria-label={t.planner.outcome} placeholder={t.planner.anyOutcome} clearable value={outcome === "" ? null : outcome} onChange={(next) => setOutcome(next ?? "")}
          data={OUTCOMES.map((one) => ({ value: one, label: t.planner.outcomes[one] }))}
        />
      </search>
      <DecisionList list={list} empty={<Empty title={outcome === "" ? t.planner.noDecisions : t.planner.noneFound}><p>{t.planner.noDecisionsText}</p></Empty>} />
    </>
  );
}

function Costs({ by }: { by: Usage["by"] }) {
  const tenant = useTenant();
  const usage = useQuery(usageQuery(tenant.id, by));
  if (usage.data === undefined) return usage.error === null ? <Panel><Lines rows={6} /></Panel> : <Trouble error={usage.error} onRetry={() => void usage.refetch()} />;
  const { items, total } = usage.data;
  if (items.length === 0) return <Panel><Empty title={t.planner.noCost}><p>{t.planner.noCostText}</p></Empty></Panel>;
  return (
    <Stack gap="md">
      {by === "day" && <DailyCost usage={usage.data} />}
      <Panel flush title={t.planner.by[by]} aside={t.planner.money(total.cost.amount)}>
        <table className={tables["table"]}>
          <thead><tr><th>{t.planner.by[by]}</th><th data-figures>{t.planner.calls}</th><th data-figures>{t.planner.tokens}</th><th data-figures>{t.planner.cost}</th><th data-figures>{t.planner.latency}</th></tr></thead>
          <tbody>
            {items.map((row) => (
              <tr key={row.key}>
                <td>{row.key}</td>
                <td data-figures data-label={t.planner.calls}>{count(row.calls)}</td>
                <td data-figures data-label={t.planner.tokens}>{count(row.input_tokens + row.output_tokens)}</td>
                <td data-figures data-label={t.planner.cost}>{t.planner.money(row.cost.amount)}</td>
                <td data-figures data-label={t.planner.latency}>{row.mean_latency_ms === null ? "–" : `${count(row.mean_latency_ms)} ms`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </Stack>
  );
}

function DailyCost({ usage }: { usage: Usage }) {
  const days = useMemo(() => everyDay(usage), [usage]);
  const times = useMemo(() => days.map(([day]) => day), [days]);
  const lines = useMemo<PlotLine[]>(() => [{ label: t.planner.cost, token: "--fettle-accent", filled: true, values: days.map(([, cost]) => cost) }], [days]);
  return (
    <Panel title={t.planner.perDay} aside={t.planner.costOf(usage.total.cost.amount, days.length)}>
      <TimePlot caption={t.planner.perDay} times={times} lines={lines} atLeast={0.01} show={(value) => value.toFixed(2)} />
    </Panel>
  );
}

/** Each day of the time that was asked for, those on which nothing was spent too. */
function everyDay(usage: Usage): [number, number][] {
  const spent = new Map(usage.items.map((row) => [row.key, Number(row.cost.amount)]));
  const days: [number, number][] = [];
  for (let day = Date.parse(`${usage.first}T00:00:00Z`); day <= Date.parse(`${usage.last}T00:00:00Z`); day += 86_400_000) {
    days.push([day, spent.get(new Date(day).toISOString().slice(0, 10)) ?? 0]);
  }
  return days;
}
