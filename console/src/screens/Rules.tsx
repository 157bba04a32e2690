// The L1 rules in the order in which they win: searched, filtered, sorted, switched on and off, and opened.
import { Button, Select, Switch, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import type { RuleAccepted } from "../api/authoring";
import { request } from "../api/client";
import { rulesQuery } from "../api/queries";
import type { Rule } from "../api/types";
import { count } from "../lib/format";
import { useAddressText } from "../lib/search";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconPlus, IconSearch } from "../ui/icons";
import { Tag } from "../ui/marks";
import { Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import { tellWithUndo } from "../ui/undo";
import tables from "../ui/table.module.css";

export function Rules() {
  const tenant = useTenant();
  const mayWrite = useMay("rules:write");
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(rulesQuery(tenant.id));
  const [text, setText] = useAddressText("q");
  const [source, setSource] = useAddressText("source");
  const [state, setState] = useAddressText("enabled");
  const [sort, setSort] = useAddressText("sort", "priority");
  // The search below looks at every rule, so every page is fetched, one after the other.
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const rules = useMemo(() => data?.pages.flatMap((page) => page.items), [data]);
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const found = rules?.filter(
      (rule) =>
        (wanted === "" || JSON.stringify(rule).toLowerCase().includes(wanted)) &&
        (source === "" || rule.source === source) &&
        (state === "" || String(rule.enabled) === state),
    );
    return sort === "priority" ? found : found?.sort((one, other) => nameBy(sort, one).localeCompare(nameBy(sort, other)));
  }, [rules, text, source, state, sort]);
  const filtered = text !== "" || source !== "" || state !== "";
  return (
    <>
      <title>{t.pageTitle(t.nav.rules)}</title>
      <PageHead title={t.nav.rules}>
        <TextInput
          size="xs" type="search" placeholder={t.rules.search} aria-label={t.rules.search} leftSection={<IconSearch width="0.95rem" />}
          value={text} onChange={(event) => setText(event.currentTarget.value)}
        />
        <Select
          size="xs" w="9rem" aria-label={t.ruleEditor.source} placeholder={t.ruleEditor.allSources} clearable value={source === "" ? null : source} onChange={(value) => setSource(value ?? "")}
          data={Object.entries(t.ruleEditor.sources).map(([value, label]) => ({ value, label }))}
        />
        <Select
          size="xs" w="8rem" aria-label={t.ruleEditor.onOff} placeholder={t.ruleEditor.anyState} clearable value={state === "" ? null : state} onChange={(value) => setState(value ?? "")}
          data={[{ value: "true", label: t.rules.on }, { value: "false", label: t.rules.off }]}
        />
        <Select
          size="xs" w="13rem" aria-label={t.ruleEditor.sort} allowDeselect={false} value={sort} onChange={(value) => setSort(value ?? "")}
          data={Object.entries(t.ruleEditor.sorts).map(([value, label]) => ({ value, label }))}
        />
        {mayWrite && (
          <Button size="xs" leftSection={<IconPlus width="0.95rem" />} renderRoot={(props: object) => <Link to="/t/$tenant/rules/new" params={{ tenant: tenant.slug }} {...props} />}>
            {t.ruleEditor.make}
          </Button>
        )}
      </PageHead>
      {error !== null && rules === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {rules === undefined && error === null && <Panel><Lines rows={10} /></Panel>}
      {shown !== undefined && shown.length === 0 && (
        <Panel><Empty title={filtered ? t.rules.noneFound : t.rules.none}><p>{t.rules.noneText}</p></Empty></Panel>
      )}
      {shown !== undefined && shown.length > 0 && (
        <Panel flush title={t.rules.count(count(shown.length), isFetchingNextPage || hasNextPage)} aside={sort === "priority" ? t.rules.order : ""}>
          <table className={tables["table"]}>
            <thead>
              <tr>
                <th data-figures>{t.rules.priority}</th><th>{t.rules.rule}</th><th>{t.rules.action}</th><th>{t.rules.source}</th>
                <th>{t.rules.enabled}</th>
              </tr>
            </thead>
            <tbody>{shown.map((rule) => <RuleRow key={rule.id} rule={rule} mayWrite={mayWrite} />)}</tbody>
          </table>
        </Panel>
      )}
    </>
  );
}

function RuleRow({ rule, mayWrite }: { rule: Rule; mayWrite: boolean }) {
  const tenant = useTenant();
  const runs = rule.runbook_id ?? rule.playbook_id;
  return (
    <tr>
      <td data-figures data-label={t.rules.priority}>{rule.priority}</td>
      <td>
        <Link to="/t/$tenant/rules/$ruleId" params={{ tenant: tenant.slug, ruleId: rule.id }}><code>{rule.id}</code></Link> {rule.title ?? rule.description}
      </td>
      <td data-label={t.rules.action}>{t.ruleEditor.actions[rule.action] ?? rule.action} {runs !== null && <code>{runs}</code>}</td>
      <td data-label={t.rules.source}>{rule.pack_id ?? t.ruleEditor.sources[rule.source] ?? rule.source}</td>
      <td data-label={t.rules.enabled}>
        {mayWrite ? <RuleSwitch rule={rule} /> : <Tag tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? t.rules.on : t.rules.off}</Tag>}
      </td>
    </tr>
  );
}

function RuleSwitch({ rule }: { rule: Rule }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const put = async (enabled: boolean, version: number | null) => {
    const answer = await request<RuleAccepted>(`rules/${encodeURIComponent(rule.id)}`, { method: "PATCH", tenantId: tenant.id, body: { enabled, version } });
    await client.invalidateQueries({ queryKey: [tenant.id, "rules"] });
    return answer;
  };
  const turn = useMutation({
    mutationFn: (enabled: boolean) => put(enabled, rule.version),
    onSuccess: (answer, enabled) => tellWithUndo(t.ruleEditor.switched(rule.id, enabled), () => put(!enabled, answer.version ?? null)),
  });
  return (
    <>
      <Switch size="xs" checked={turn.isPending ? turn.variables : rule.enabled} disabled={turn.isPending} aria-label={t.ruleEditor.switchName(rule.id)} onChange={(event) => turn.mutate(event.currentTarget.checked)} />
      {turn.error !== null && <Trouble error={turn.error} />}
    </>
  );
}

function nameBy(sort: string, rule: Rule): string {
  return sort === "title" ? (rule.title ?? rule.id) : rule.id;
}
