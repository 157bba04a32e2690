// The flywheel: who decided over time, what that saved, every pattern with its evidence, and the rules that grew.
import { Button, Select, Stack, Tabs, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Fragment, useDeferredValue, useMemo, useState } from "react";
import { flywheelQuery, patternsQuery, promotionsQuery, STAGES, type FlywheelSummary, type Pattern, type Promotion } from "../../api/flywheel";
import { count, duration, percent } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Ago, Empty, Facts, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { TimePlot, type PlotLine } from "../../ui/TimePlot";
import { PatternEvidence } from "./PatternEvidence";
import { PromotionDialog } from "./PromotionDialog";
import { StageMark } from "./StageMark";

const DAYS = 30;

export function Flywheel() {
  const [tab, setTab] = useAddressText("tab", "patterns");
  const tenant = useTenant();
  const summary = useQuery(flywheelQuery(tenant.id, DAYS));
  return (
    <>
      <title>{t.pageTitle(t.flywheel.title)}</title>
      <PageHead title={t.flywheel.title} />
      <p>{t.flywheel.lead} {summary.data !== undefined && (summary.data.enabled ? t.flywheel.mode[summary.data.promotion] : t.flywheel.off)}</p>
      {summary.error !== null && summary.data === undefined && <Trouble error={summary.error} onRetry={() => void summary.refetch()} />}
      {summary.data === undefined && summary.error === null && <Panel><Lines rows={6} /></Panel>}
      {summary.data !== undefined && <Figures summary={summary.data} />}
      <Tabs value={tab} onChange={(value) => setTab(value ?? "")} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="patterns">{t.flywheel.tabs.patterns}</Tabs.Tab>
          <Tabs.Tab value="rules">{t.flywheel.tabs.rules}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="patterns"><Patterns /></Tabs.Panel>
        <Tabs.Panel value="rules"><GrownRules /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Figures({ summary }: { summary: FlywheelSummary }) {
  const { saved } = summary;
  const days = useMemo(() => everyDay(summary), [summary]);
  const times = useMemo(() => days.map((day) => Date.parse(`${day.day}T00:00:00Z`)), [days]);
  const lines = useMemo<PlotLine[]>(
    () => [
      { label: t.flywheel.decided.l1, token: "--fettle-good", filled: true, values: days.map((day) => day.l1) },
      { label: t.flywheel.decided.grown, token: "--fettle-accent", dashed: true, values: days.map((day) => day.grown) },
      { label: t.flywheel.decided.l2, token: "--fettle-low", values: days.map((day) => day.l2) },
      { label: t.flywheel.decided.l3, token: "--fettle-high", dashed: true, values: days.map((day) => day.l3) },
    ],
    [days],
  );
  const sum = (pick: (day: FlywheelSummary["by_day"][number]) => number) => days.reduce((all, day) => all + pick(day), 0);
  const decided = sum((day) => day.l1 + day.l2 + day.l3);
  const money = (amount: number) => new Intl.NumberFormat(undefined, { style: "currency", currency: saved.currency }).format(amount);
  return (
    <Stack gap="md" mb="md">
      <Panel title={t.flywheel.perDay}>
        {decided > 0 && <p style={{ margin: 0 }}>{t.flywheel.share(percent(sum((day) => day.l1) / decided), summary.days)}</p>}
        {decided === 0
          ? <Empty title={t.flywheel.noneDecided}><p>{t.flywheel.noneDecidedText}</p></Empty>
          : <TimePlot caption={t.flywheel.perDay} times={times} lines={lines} show={(value) => (Number.isInteger(value) ? count(value) : "")} />}
      </Panel>
      <Panel title={t.flywheel.saved}>
        <Facts
          items={[
            [t.flywheel.byRules, <span key="all">{t.flywheel.hours(saved.hours)}, {money(saved.money)} ({t.flywheel.heals(saved.heals)})</span>],
            [t.flywheel.byGrown, <span key="grown">{t.flywheel.hours(saved.grown_hours)}, {money(saved.grown_money)} ({t.flywheel.heals(saved.grown_heals)})</span>],
          ]}
        />
        <p>{t.flywheel.assumption(saved.minutes_by_hand, money(saved.cost_per_hour))}</p>
      </Panel>
    </Stack>
  );
}

type DayOfLevels = FlywheelSummary["by_day"][number];

/** Each day of the time that is shown, those on which nothing was decided too: a day alone makes no line. */
function everyDay(summary: FlywheelSummary): DayOfLevels[] {
  const known = new Map(summary.by_day.map((day) => [day.day, day]));
  const today = Date.now();
  return Array.from({ length: summary.days }, (_, ago) => {
    const day = new Date(today - (summary.days - 1 - ago) * 86_400_000).toISOString().slice(0, 10);
    return known.get(day) ?? { day, l1: 0, l2: 0, l3: 0, grown: 0 };
  });
}

function StageSelect({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <Select
      size="xs" w="11rem" aria-label={t.flywheel.stage} placeholder={t.flywheel.anyStage} clearable value={value === "" ? null : value} onChange={(next) => onChange(next ?? "")}
      data={STAGES.map((stage) => ({ value: stage, label: t.flywheel.stages[stage] }))}
    />
  );
}

function Patterns() {
  const tenant = useTenant();
  const [q, setQ] = useAddressText("q");
  const [state, setState] = useAddressText("state");
  const wanted = useDeferredValue(q.trim());
  const list = useInfiniteQuery(patternsQuery(tenant.id, { ...(wanted === "" ? {} : { q: wanted }), ...(state === "" ? {} : { state }) }));
  const items = list.data?.pages.flatMap((page) => page.items);
  const filtered = q !== "" || state !== "";
  return (
    <>
      <search style={{ display: "flex", gap: "0.5rem", marginBottom: "0.75rem" }}>
        <TextInput size="xs" type="search" w="18rem" placeholder={t.flywheel.search} aria-label={t.flywheel.search} leftSection={<IconSearch width="0.9rem" />} value={q} maxLength={200} onChange={(event) => setQ(event.currentTarget.value)} />
        <StageSelect value={state} onChange={setState} />
      </search>
      {items === undefined && (list.error === null ? <Panel><Lines rows={6} /></Panel> : <Trouble error={list.error} onRetry={() => void list.refetch()} />)}
      {items?.length === 0 && <Panel><Empty title={filtered ? t.flywheel.noneFound : t.flywheel.noPatterns}><p>{t.flywheel.noPatternsText}</p></Empty></Panel>}
      {items !== undefined && items.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead>
              <tr>
                <th>{t.flywheel.pattern}</th><th>{t.flywheel.levels}</th><th>{t.flywheel.healed}</th><th data-figures>{t.flywheel.surely}</th><th data-figures>{t.flywheel.median}</th>
                <th>{t.flywheel.rule}</th><th>{t.flywheel.seen}</th><th><span className="visually-hidden">{t.flywheel.evidence}</span></th>
              </tr>
            </thead>
            <tbody>{items.map((pattern) => <PatternRow key={pattern.id} pattern={pattern} />)}</tbody>
          </table>
        </Panel>
      )}
      {list.hasNextPage && <Button mt="sm" size="xs" variant="default" onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>{t.common.more}</Button>}
    </>
  );
}

function PatternRow({ pattern }: { pattern: Pattern }) {
  const [open, setOpen] = useState(false);
  return (
    <Fragment>
      <tr>
        <td>{pattern.title ?? pattern.check_type}<div><code>{pattern.pattern}</code></div></td>
        <td data-label={t.flywheel.levels}>{count(pattern.l1)} / {count(pattern.l2)} / {count(pattern.l3)}</td>
        <td data-label={t.flywheel.healed}>{t.flywheel.ofTried(pattern.succeeded, pattern.succeeded + pattern.failed)}</td>
        <td data-figures data-label={t.flywheel.surely}>{percent(pattern.lower_bound)}</td>
        <td data-figures data-label={t.flywheel.median}>{pattern.median_heal_seconds === null ? "–" : duration(pattern.median_heal_seconds)}</td>
        <td data-label={t.flywheel.rule}>{pattern.promotion === null ? "–" : <StageMark stage={pattern.promotion} />}</td>
        <td data-label={t.flywheel.seen}><Ago at={pattern.last_at} /></td>
        <td data-figures>
          <Button size="compact-xs" variant="default" aria-expanded={open} aria-label={t.flywheel.evidenceOf(pattern.pattern)} onClick={() => setOpen(!open)}>{t.flywheel.evidence}</Button>
        </td>
      </tr>
      {open && <tr><td colSpan={8}><PatternEvidence pattern={pattern.pattern} /></td></tr>}
    </Fragment>
  );
}

function GrownRules() {
  const tenant = useTenant();
  const [state, setState] = useAddressText("state");
  const [shown, setShown] = useAddressText("id");
  const list = useInfiniteQuery(promotionsQuery(tenant.id, state === "" ? {} : { state }));
  return (
    <>
      <search style={{ marginBottom: "0.75rem" }}><StageSelect value={state} onChange={setState} /></search>
      <Listing<Promotion>
        list={list}
        empty={<Empty title={state === "" ? t.flywheel.noRules : t.flywheel.noneFound}><p>{t.flywheel.noRulesText}</p></Empty>}
        columns={[t.flywheel.rule, t.flywheel.stage, t.flywheel.acted, t.flywheel.since, unseen(t.flywheel.open)]}
        row={(one) => (
          <>
            <td><code>{one.rule_id}</code><div>{one.check_type} → <code>{one.choice}</code>, {t.flywheel.grewFrom(one.successes)}</div></td>
            <td data-label={t.flywheel.stage}><StageMark stage={one.state} /></td>
            <td data-label={t.flywheel.acted}>{t.flywheel.ofTried(one.healed, one.healed + one.failed)}</td>
            <td data-label={t.flywheel.since}><Ago at={one.stage_at} /></td>
            <td data-figures><Button size="compact-xs" variant="default" aria-label={t.flywheel.openNamed(one.rule_id)} onClick={() => setShown(one.id)}>{t.flywheel.open}</Button></td>
          </>
        )}
      />
      {shown !== "" && <PromotionDialog id={shown} onClose={() => setShown("")} />}
    </>
  );
}
