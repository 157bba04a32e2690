// One rule over time: its form and its YAML, kept the same both ways, what it remembers now, what it found, trials and versions.
import { Button, Group, Stack, Tabs, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useDeferredValue, useMemo, useState } from "react";
import type { DraftProblem, RuleSchema } from "../../api/authoring";
import { ruleSchemaQuery } from "../../api/authoringQueries";
import {
  changeTemporalRule, createTemporalRule, deleteTemporalRule, forgetTemporalKey, restoreTemporalRule, temporalFiringsQuery, temporalHistoryQuery, temporalKey, temporalKeysQuery,
  temporalRuleQuery, temporalSchemaQuery, tryTemporalRule, type PastTemporalRule, type TemporalFiring, type TemporalKey, type TemporalRule,
} from "../../api/temporal";
import type { JsonObject } from "../../api/types";
import { count } from "../../lib/format";
import { inSchemaOrder } from "../../lib/schemaOrder";
import { useAddressText } from "../../lib/search";
import { asObject } from "../../lib/story";
import { useMay, useTenant } from "../../lib/tenant";
import { useAuthored } from "../../lib/useAuthored";
import { refusalOf, useDraft } from "../../lib/useDraft";
import { useNotSaved } from "../../lib/useNotSaved";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { FieldChanges } from "../../ui/Diff";
import { DraftEditor } from "../../ui/DraftEditor";
import { History } from "../../ui/History";
import { IconBack, IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Facts, Fold, Lines, Notice, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { faultsBelow } from "../../ui/SchemaForm";
import { TimePlot, type PlotLine } from "../../ui/TimePlot";
import { Yaml } from "../../ui/Yaml";
import classes from "../../ui/authoring.module.css";
import pages from "../IncidentPage.module.css";
import { FRESH } from "./kinds";
import { TemporalForm } from "./TemporalForm";

const FIGURES = ["counted", "held", "late", "repeated", "passed_over", "evicted", "refused"] as const;
const DAY_MS = 86_400_000;
const DAYS = 30;

export function NewTemporalRule() {
  return <Loaded rule={null} />;
}

export function TemporalRulePage() {
  const tenant = useTenant();
  const { temporalRuleId } = useParams({ from: "/t/$tenant/temporal-rules/$temporalRuleId" });
  const { data, error, refetch } = useQuery(temporalRuleQuery(tenant.id, temporalRuleId));
  if (error !== null && data === undefined) return <><Back /><Trouble error={error} onRetry={() => void refetch()} /><Panel><RuleHistory id={temporalRuleId} version={null} /></Panel></>;
  if (data === undefined) return <Panel><Lines rows={10} /></Panel>;
  return <Loaded key={`${data.id} ${data.version} ${data.enabled}`} rule={data} />;
}

function Loaded({ rule }: { rule: TemporalRule | null }) {
  const tenant = useTenant();
  const schema = useQuery(temporalSchemaQuery(tenant.id));
  const known = useQuery(ruleSchemaQuery(tenant.id));
  const error = schema.error ?? known.error;
  if (schema.data !== undefined && known.data !== undefined) return <Editor rule={rule} schema={schema.data} known={withStatus(known.data)} />;
  if (error !== null) return <Trouble error={error} onRetry={() => { void schema.refetch(); void known.refetch(); }} />;
  return <Panel><Lines rows={10} /></Panel>;
}

/** Rules over time see word that all is well, too. */
function withStatus(known: RuleSchema): RuleSchema {
  if (known.fields.some((one) => one.name === "status")) return known;
  return { ...known, fields: [...known.fields, { name: "status", title: "", values: ["firing", "resolved"], used_by: 0 }] };
}

function Back() {
  const tenant = useTenant();
  return <Link to="/t/$tenant/temporal-rules" params={{ tenant: tenant.slug }} className={pages["back"] ?? ""}><IconBack width="0.9rem" /> {t.temporal.back}</Link>;
}

function Editor({ rule, schema, known }: { rule: TemporalRule | null; schema: JsonObject; known: RuleSchema }) {
  const tenant = useTenant();
  const navigate = useNavigate();
  const mayWrite = useMay("rules:write");
  const [tab, setTab] = useAddressText("tab", "rule");
  const [asking, setAsking] = useState(false);
  const first = useMemo(() => inSchemaOrder(rule === null ? FRESH : rule.rule, schema) as JsonObject, [rule, schema]);
  const draft = useDraft(first);
  const { document } = draft;
  const ownVersion = rule?.version ?? null;
  const { done, save, remove } = useAuthored({
    queryKey: temporalKey(tenant.id),
    save: (wanted: JsonObject) => (rule !== null && ownVersion !== null ? changeTemporalRule(tenant.id, rule.id, wanted, ownVersion) : createTemporalRule(tenant.id, wanted)),
    open:
      rule === null
        ? (temporalRuleId) => navigate({ to: "/t/$tenant/temporal-rules/$temporalRuleId", params: { tenant: tenant.slug, temporalRuleId }, ignoreBlocker: true })
        : null,
    remove: () => deleteTemporalRule(tenant.id, rule?.id ?? "", ownVersion ?? 0),
    removed: t.temporal.removed(rule?.id ?? ""),
    leave: () => navigate({ to: "/t/$tenant/temporal-rules", params: { tenant: tenant.slug }, ignoreBlocker: true }),
  });
  const changed = !done && draft.edited;
  useNotSaved(changed && mayWrite);
  const refusal = refusalOf(save.error);
  const fromForm = (next: JsonObject) => {
    draft.setDocument(next);
    save.reset();
  };
  const fromText = (next: string) => {
    draft.setText(next);
    save.reset();
  };
  const title = rule?.title ?? t.temporal.make;
  return (
    <>
      <title>{t.pageTitle(title)}</title>
      <Back />
      <PageHead title={title}>
        {rule !== null && <Tag tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? t.temporal.on : t.temporal.off}</Tag>}
        {ownVersion !== null && mayWrite && <Button size="xs" variant="default" onClick={() => setAsking(true)}>{t.temporal.remove}</Button>}
      </PageHead>
      {rule !== null && <p className={classes["headText"]}><code>{rule.id}</code> {t.temporal.kinds[rule.kind]}, {rule.pack_id ?? t.temporal.own}</p>}
      <Panel>
        <Tabs value={tab} onChange={(value) => setTab(value ?? "rule")} keepMounted={false}>
          <Tabs.List mb="sm">
            {(rule === null ? (["rule", "dryRun"] as const) : (["rule", "live", "found", "dryRun", "history"] as const)).map((name) => <Tabs.Tab key={name} value={name}>{t.temporal.tabs[name]}</Tabs.Tab>)}
          </Tabs.List>
          <Tabs.Panel value="rule">
            {rule !== null && ownVersion === null && mayWrite && <Notice title={rule.pack_id ?? rule.source}>{t.temporal.ofPack}</Notice>}
            {!mayWrite && <p className={classes["soft"]}>{t.temporal.mayNotWrite}</p>}
            <DraftEditor
              draft={draft} save={save} changed={changed} fresh={rule === null} mayWrite={mayWrite} onDiscard={() => fromForm(first)}
              yaml={<InYaml text={draft.text} schema={schema} problems={draft.problems(refusal)} onChange={fromText} />}
              form={(given) => <TemporalForm rule={given} schema={schema} known={known} faults={faultsBelow("", refusal)} fresh={rule === null} onChange={fromForm} />}
            />
          </Tabs.Panel>
          {rule !== null && <Tabs.Panel value="live"><Live rule={rule} /></Tabs.Panel>}
          {rule !== null && <Tabs.Panel value="found"><Found id={rule.id} /></Tabs.Panel>}
          <Tabs.Panel value="dryRun"><Trial document={document} /></Tabs.Panel>
          {rule !== null && <Tabs.Panel value="history"><RuleHistory id={rule.id} version={ownVersion} /></Tabs.Panel>}
        </Tabs>
      </Panel>
      {asking && rule !== null && (
        <Confirm title={t.temporal.remove} confirm={t.temporal.remove} danger pending={remove.isPending} error={remove.error} onClose={() => setAsking(false)} onConfirm={() => remove.mutate()}>
          <p style={{ margin: 0 }}>{t.temporal.removeText(rule.id)}</p>
        </Confirm>
      )}
    </>
  );
}

/** The YAML with what the schema knows: completed in the editor, and listed below it. */
function InYaml({ text, schema, problems, onChange }: { text: string; schema: JsonObject; problems: DraftProblem[]; onChange: (text: string) => void }) {
  const words = useMemo(() => {
    const known = asObject(schema["properties"] ?? null) ?? {};
    return Object.entries(known).map(([label, one]) => ({ label, detail: String(asObject(one)?.["description"] ?? "") }));
  }, [schema]);
  return (
    <>
      <Yaml value={text} label={t.editor.yaml} onChange={onChange} problems={problems} words={words} />
      <Fold title={t.temporal.words}><Facts items={words.map(({ label, detail }) => [label, detail])} /></Fold>
    </>
  );
}

function shownKey(key: Record<string, unknown>): string {
  const values = Object.entries(key).map(([name, value]) => `${name} ${String(value)}`);
  return values.length === 0 ? t.temporal.everything : values.join(", ");
}

function Live({ rule }: { rule: TemporalRule }) {
  const tenant = useTenant();
  const [q, setQ] = useAddressText("q");
  const wanted = useDeferredValue(q.trim());
  const mayWrite = useMay("rules:write");
  const [forgetting, setForgetting] = useState<TemporalKey | null>(null);
  const list = useInfiniteQuery(temporalKeysQuery(tenant.id, rule.id, wanted === "" ? {} : { q: wanted }));
  return (
    <Stack gap="sm">
      <Facts items={[...FIGURES.map((name): [string, string] => [t.temporal.figures[name], count(rule.figures[name])]), [t.temporal.figures.bytes, t.temporal.size(rule.figures.bytes)]]} />
      <search>
        <TextInput size="xs" type="search" w="18rem" placeholder={t.temporal.searchKeys} aria-label={t.temporal.searchKeys} leftSection={<IconSearch width="0.9rem" />} value={q} maxLength={200} onChange={(event) => setQ(event.currentTarget.value)} />
      </search>
      <Listing<TemporalKey>
        list={list}
        empty={<Empty title={t.temporal.noKeys}><p>{t.temporal.noKeysText}</p></Empty>}
        columns={[t.temporal.key, t.temporal.remembered, t.temporal.sum, t.temporal.lastAt, t.temporal.due, t.temporal.state, ...(mayWrite ? [unseen(t.common.actions)] : [])]}
        row={(one) => (
          <>
            <td>{shownKey(one.key)}</td>
            <td data-label={t.temporal.remembered}>{count(one.remembered)}</td>
            <td data-label={t.temporal.sum}>{one.total === null ? "–" : count(one.total)}</td>
            <td data-label={t.temporal.lastAt}>{one.last_at === null ? "–" : <Ago at={one.last_at} />}</td>
            <td data-label={t.temporal.due}>{one.due_at === null ? "–" : <Ago at={one.due_at} />}</td>
            <td data-label={t.temporal.state}><KeyState one={one} /></td>
            {mayWrite && <td data-figures><Button size="compact-xs" variant="default" aria-label={t.temporal.forgetNamed(shownKey(one.key))} onClick={() => setForgetting(one)}>{t.temporal.forget}</Button></td>}
          </>
        )}
      />
      {forgetting !== null && <ForgetKey ruleId={rule.id} one={forgetting} onClose={() => setForgetting(null)} />}
    </Stack>
  );
}

function ForgetKey({ ruleId, one, onClose }: { ruleId: string; one: TemporalKey; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const name = shownKey(one.key);
  const forget = useMutation({
    mutationFn: () => forgetTemporalKey(tenant.id, ruleId, one.id),
    onSuccess: async () => {
      onClose();
      notifications.show({ message: t.temporal.forgotten(name) });
      await client.invalidateQueries({ queryKey: temporalKey(tenant.id) });
    },
  });
  return (
    <Confirm title={t.temporal.forgetNamed(name)} confirm={t.temporal.forget} danger pending={forget.isPending} error={forget.error} onClose={onClose} onConfirm={() => forget.mutate()}>
      <p style={{ margin: 0 }}>{t.temporal.forgetText(name, one.is_told)}</p>
    </Confirm>
  );
}

function KeyState({ one }: { one: TemporalKey }) {
  if (one.is_told) return <Tag tone="person">{t.temporal.told}</Tag>;
  if (one.quiet_until !== null && Date.parse(one.quiet_until) > Date.now()) return <Tag tone="quiet">{t.temporal.quiet}</Tag>;
  return <Tag tone="waiting">{t.temporal.waits}</Tag>;
}

function Found({ id }: { id: string }) {
  const tenant = useTenant();
  const list = useInfiniteQuery(temporalFiringsQuery(tenant.id, id));
  const items = list.data?.pages.flatMap((page) => page.items).filter((one) => !one.is_over);
  const days = useMemo(() => perDay((items ?? []).map((one) => Date.parse(one.at))), [items]);
  return (
    <Stack gap="sm">
      {items !== undefined && items.length > 0 && <TimePlot caption={t.temporal.perDay} times={days.times} lines={[{ label: t.temporal.fired, token: "--fettle-high", filled: true, values: days.values }]} show={whole} />}
      <Listing<TemporalFiring>
        list={list}
        empty={<Empty title={t.temporal.noFirings}><p>{t.temporal.noFiringsText}</p></Empty>}
        columns={[t.temporal.when, t.temporal.what, t.temporal.key, t.temporal.exceptions, t.temporal.incident]}
        row={(one) => (
          <>
            <td><Ago at={one.at} /></td>
            <td data-label={t.temporal.what}><Tag tone={one.is_over ? "good" : "person"}>{one.is_over ? t.temporal.over : t.temporal.began}</Tag></td>
            <td data-label={t.temporal.key}>{shownKey(one.key)}</td>
            <td data-label={t.temporal.exceptions}>{count(one.count)}</td>
            <td data-label={t.temporal.incident}>
              {one.incident_id === null ? "–" : <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: one.incident_id }}>{t.temporal.open}</Link>}
              {one.led_by.length > 0 && <> {t.temporal.ledBy(one.led_by.length)}</>}
            </td>
          </>
        )}
      />
    </Stack>
  );
}

function Trial({ document }: { document: JsonObject | null }) {
  const tenant = useTenant();
  const trial = useMutation({ mutationFn: (wanted: JsonObject) => tryTemporalRule(tenant.id, wanted) });
  const found = trial.data;
  const times = useMemo(() => (found?.by_day ?? []).map((day) => Date.parse(`${day.day}T00:00:00Z`)), [found]);
  const lines = useMemo<PlotLine[]>(
    () => [
      { label: t.temporal.seen, token: "--fettle-accent", values: (found?.by_day ?? []).map((day) => day.seen) },
      { label: t.temporal.fired, token: "--fettle-high", filled: true, values: (found?.by_day ?? []).map((day) => day.fired) },
    ],
    [found],
  );
  return (
    <Stack gap="sm">
      <p className={classes["headText"]}>{t.temporal.help}</p>
      <Group><Button size="xs" disabled={document === null} loading={trial.isPending} onClick={() => document !== null && trial.mutate(document)}>{t.temporal.run}</Button></Group>
      {trial.error !== null && <Trouble error={trial.error} />}
      {found !== undefined && (
        <>
          <p role="status" style={{ margin: 0 }}>{t.temporal.result(found.considered, found.fired, found.keys, found.bytes)} {found.truncated && t.temporal.truncated}</p>
          {times.length > 0 && <TimePlot caption={t.temporal.seenPerDay} times={times} lines={lines} show={whole} />}
          {found.firings.length > 0 && (
            <table className={tables["table"]}>
              <caption className="visually-hidden">{t.temporal.wouldFire}</caption>
              <thead><tr><th>{t.temporal.when}</th><th>{t.temporal.what}</th><th>{t.temporal.key}</th><th>{t.temporal.exceptions}</th></tr></thead>
              <tbody>
                {found.firings.toReversed().map((one) => (
                  <tr key={`${one.at} ${JSON.stringify(one.key)} ${one.is_over}`}>
                    <td><Ago at={one.at} /></td>
                    <td data-label={t.temporal.what}>{one.is_over ? t.temporal.over : t.temporal.began}</td>
                    <td data-label={t.temporal.key}>{shownKey(one.key)}</td>
                    <td data-label={t.temporal.exceptions}>{count(one.count)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </>
      )}
    </Stack>
  );
}

function RuleHistory({ id, version }: { id: string; version: number | null }) {
  const tenant = useTenant();
  const mayWrite = useMay("rules:write");
  const query = useInfiniteQuery(temporalHistoryQuery(tenant.id, id));
  return (
    <History<PastTemporalRule>
      query={query} queryKey={temporalKey(tenant.id)} present={version} isDeletion={(item) => item.rule === null}
      show={(item) => <FieldChanges changes={item.changes} />} restore={(to) => restoreTemporalRule(tenant.id, id, to, version)} mayWrite={mayWrite}
    />
  );
}

function perDay(moments: readonly number[]): { times: number[]; values: number[] } {
  const today = Math.floor(Date.now() / DAY_MS);
  const times = Array.from({ length: DAYS }, (_, place) => (today - DAYS + 1 + place) * DAY_MS);
  return { times, values: times.map((day) => moments.filter((at) => at >= day && at < day + DAY_MS).length) };
}

function whole(value: number): string {
  return Number.isInteger(value) ? count(value) : "";
}
