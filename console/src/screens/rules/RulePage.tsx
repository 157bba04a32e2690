// One rule: its form and its YAML, kept the same both ways, with explanation, dry-run and history.
import { Button, Tabs } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { PastRule, RuleAccepted, RuleSchema } from "../../api/authoring";
import { ruleHistoryQuery, ruleQuery, ruleSchemaQuery } from "../../api/authoringQueries";
import { request } from "../../api/client";
import type { Json, JsonObject, Rule } from "../../api/types";
import { useAddressText } from "../../lib/search";
import { asText } from "../../lib/story";
import { useMay, useTenant } from "../../lib/tenant";
import { useAuthored } from "../../lib/useAuthored";
import { refusalOf, useDraft } from "../../lib/useDraft";
import { useNotSaved } from "../../lib/useNotSaved";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { FieldChanges } from "../../ui/Diff";
import { DraftEditor } from "../../ui/DraftEditor";
import { History } from "../../ui/History";
import { IconBack } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Lines, Notice, PageHead, Panel, Trouble } from "../../ui/parts";
import { faultsBelow } from "../../ui/SchemaForm";
import { Yaml } from "../../ui/Yaml";
import pages from "../IncidentPage.module.css";
import classes from "../../ui/authoring.module.css";
import { RuleForm } from "./RuleForm";
import { DryRunOfRule, Explain } from "./RuleTrials";

const FIELDS = [
  "id", "title", "description", "priority", "enabled", "conditions", "action", "runbook_id", "playbook_id", "parameters", "reason",
  "cooldown_seconds", "max_attempts",
] as const;
const FRESH: JsonObject = {
  id: "", title: "", priority: 100, enabled: true, conditions: [{ field: "check_type", operator: "eq", value: "" }], action: "escalate",
};

export function NewRule() {
  return <Loaded rule={null} />;
}

export function RulePage() {
  const tenant = useTenant();
  const { ruleId } = useParams({ from: "/t/$tenant/rules/$ruleId" });
  const { data, error, refetch } = useQuery(ruleQuery(tenant.id, ruleId));
  if (error !== null && data === undefined) return <><Back /><Trouble error={error} onRetry={() => void refetch()} /><Panel><RuleHistory id={ruleId} version={null} /></Panel></>;
  if (data === undefined) return <Panel><Lines rows={10} /></Panel>;
  return <Loaded key={`${data.id} ${data.version} ${data.enabled}`} rule={data} />;
}

function Loaded({ rule }: { rule: Rule | null }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(ruleSchemaQuery(tenant.id));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Panel><Lines rows={10} /></Panel>;
  return <Editor rule={rule} schema={data} />;
}

function Back() {
  const tenant = useTenant();
  return <Link to="/t/$tenant/rules" params={{ tenant: tenant.slug }} className={pages["back"] ?? ""}><IconBack width="0.9rem" /> {t.ruleEditor.searchRuleLink}</Link>;
}

function Editor({ rule, schema }: { rule: Rule | null; schema: RuleSchema }) {
  const tenant = useTenant();
  const navigate = useNavigate();
  const mayWrite = useMay("rules:write");
  const [tab, setTab] = useAddressText("tab", "edit");
  const [asking, setAsking] = useState(false);
  const first = useMemo(() => (rule === null ? FRESH : documentOf(rule)), [rule]);
  const draft = useDraft(first);
  const own = rule !== null && rule.version !== null;
  const { done, save, remove } = useAuthored({
    queryKey: [tenant.id, "rules"],
    save: (wanted: JsonObject) =>
      own
        ? request<RuleAccepted>(`rules/${encodeURIComponent(rule.id)}`, { method: "PUT", tenantId: tenant.id, body: { ...wanted, version: rule.version } })
        : request<RuleAccepted>("rules", { method: "POST", tenantId: tenant.id, body: wanted }),
    open: rule === null ? (ruleId) => navigate({ to: "/t/$tenant/rules/$ruleId", params: { tenant: tenant.slug, ruleId }, ignoreBlocker: true }) : null,
    remove: () =>
      request(`rules/${encodeURIComponent(rule?.id ?? "")}`, { method: "DELETE", tenantId: tenant.id, query: new URLSearchParams({ version: String(rule?.version) }) }),
    removed: t.ruleEditor.removed(rule?.id ?? ""),
    leave: () => navigate({ to: "/t/$tenant/rules", params: { tenant: tenant.slug }, ignoreBlocker: true }),
  });
  const changed = !done && draft.edited;
  useNotSaved(changed && mayWrite);
  const refusal = refusalOf(save.error);
  const { document } = draft;
  const fromForm = (next: JsonObject) => {
    draft.setDocument(next);
    save.reset();
  };
  const fromText = (next: string) => {
    draft.setText(next);
    save.reset();
  };
  const title = rule === null ? t.ruleEditor.fresh : (rule.title ?? rule.id);
  return (
    <>
      <title>{t.pageTitle(title)}</title>
      <Back />
      <PageHead title={title}>
        {rule !== null && <Tag tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? t.rules.on : t.rules.off}</Tag>}
        {own && mayWrite && <Button size="xs" variant="default" onClick={() => setAsking(true)}>{t.ruleEditor.remove}</Button>}
      </PageHead>
      {rule !== null && <p className={classes["headText"]}><code>{rule.id}</code> {rule.pack_id ?? t.ruleEditor.sources[rule.source] ?? rule.source}</p>}
      <Panel>
        <Tabs value={tab} onChange={(value) => setTab(value ?? "edit")} keepMounted={false}>
          <Tabs.List mb="sm">
            {(["edit", "explain", "dryRun", ...(rule === null ? [] : ["history" as const])] as const).map((name) => <Tabs.Tab key={name} value={name}>{t.tabs[name]}</Tabs.Tab>)}
          </Tabs.List>
          <Tabs.Panel value="edit">
            {rule !== null && !own && mayWrite && <Notice title={rule.pack_id ?? rule.source}>{t.ruleEditor.packs}</Notice>}
            {!mayWrite && <p className={classes["soft"]}>{t.ruleEditor.mayNotWrite}</p>}
            <DraftEditor
              draft={draft} save={save} changed={changed} fresh={rule === null} mayWrite={mayWrite} onDiscard={() => fromForm(first)}
              yaml={<Yaml value={draft.text} label={t.editor.yaml} onChange={fromText} problems={draft.problems(refusal)} words={wordsOf(schema)} />}
              form={(given) => <RuleForm rule={given} schema={schema} faults={faultsBelow("", refusal)} fresh={rule === null} onChange={fromForm} />}
            />
          </Tabs.Panel>
          <Tabs.Panel value="explain"><Explain rule={usable(document)} /></Tabs.Panel>
          <Tabs.Panel value="dryRun"><DryRunOfRule rule={usable(document)} /></Tabs.Panel>
          {rule !== null && <Tabs.Panel value="history"><RuleHistory id={rule.id} version={rule.version} /></Tabs.Panel>}
        </Tabs>
      </Panel>
      {asking && rule !== null && (
        <Confirm title={t.ruleEditor.remove} confirm={t.ruleEditor.remove} danger pending={remove.isPending} error={remove.error} onClose={() => setAsking(false)} onConfirm={() => remove.mutate()}>
          <p style={{ margin: 0 }}>{t.ruleEditor.removeText(rule.id)}</p>
        </Confirm>
      )}
    </>
  );
}

function RuleHistory({ id, version }: { id: string; version: number | null }) {
  const tenant = useTenant();
  const mayWrite = useMay("rules:write");
  const query = useInfiniteQuery(ruleHistoryQuery(tenant.id, id));
  const restore = (to: number) => request<RuleAccepted>(`rules/${encodeURIComponent(id)}/restore`, { method: "POST", tenantId: tenant.id, body: { to, version } });
  return (
    <History<PastRule>
      query={query} queryKey={[tenant.id, "rules"]} present={version} isDeletion={(item) => item.rule === null}
      show={(item) => <FieldChanges changes={item.changes} />} restore={restore} mayWrite={mayWrite}
    />
  );
}

function documentOf(rule: Rule): JsonObject {
  const given = rule as unknown as JsonObject;
  return Object.fromEntries(FIELDS.map((name) => [name, given[name] as Json]).filter(([, value]) => value !== null && value !== undefined));
}

/** A rule with an id, for a trial of one that has none yet. */
function usable(document: JsonObject | null): JsonObject | null {
  return document === null ? null : { ...document, id: asText(document["id"]) ?? "not-saved-yet" };
}

function wordsOf(schema: RuleSchema): { label: string; detail: string }[] {
  return [
    ...FIELDS.map((label) => ({ label, detail: t.rules.rule })),
    ...schema.fields.map((one) => ({ label: one.name, detail: one.title })),
    ...schema.operators.map((one) => ({ label: one.name, detail: one.title })),
    ...schema.runbooks.map((one) => ({ label: one.id, detail: one.title })),
    ...schema.playbooks.map((one) => ({ label: one.id, detail: one.title })),
  ];
}
