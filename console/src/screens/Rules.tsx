// The L1 rules in the order in which they win, each with its conditions and a dry-run.
import { Button, Group, Stack, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { request } from "../api/client";
import { rulesQuery } from "../api/queries";
import type { DryRun, Rule } from "../api/types";
import { count, words } from "../lib/format";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconSearch } from "../ui/icons";
import { Tag } from "../ui/marks";
import { Empty, JsonView, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import tables from "../ui/table.module.css";

export function Rules() {
  const tenant = useTenant();
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(rulesQuery(tenant.id));
  const [text, setText] = useState("");
  // The search below looks at every rule, so every page is fetched, one after the other.
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const rules = useMemo(() => data?.pages.flatMap((page) => page.items), [data]);
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return rules?.filter((rule) => wanted === "" || JSON.stringify(rule).toLowerCase().includes(wanted));
  }, [rules, text]);
  return (
    <>
      <title>{t.pageTitle(t.nav.rules)}</title>
      <PageHead title={t.nav.rules}>
        <TextInput
          size="xs" type="search" placeholder={t.rules.search} aria-label={t.rules.search} leftSection={<IconSearch width="0.95rem" />}
          value={text} onChange={(event) => setText(event.currentTarget.value)}
        />
      </PageHead>
      {error !== null && rules === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {rules === undefined && error === null && <Panel><Lines rows={10} /></Panel>}
      {shown !== undefined && shown.length === 0 && (
        <Panel><Empty title={text === "" ? t.rules.none : t.rules.noneFound}><p>{t.rules.noneText}</p></Empty></Panel>
      )}
      {shown !== undefined && shown.length > 0 && (
        <Panel flush title={t.rules.count(count(shown.length), isFetchingNextPage || hasNextPage)} aside={t.rules.order}>
          <table className={tables["table"]}>
            <thead>
              <tr>
                <th data-figures>{t.rules.priority}</th><th>{t.rules.rule}</th><th>{t.rules.action}</th><th>{t.rules.source}</th>
                <th>{t.rules.enabled}</th>
              </tr>
            </thead>
            <tbody>{shown.map((rule) => <RuleRow key={rule.id} rule={rule} />)}</tbody>
          </table>
        </Panel>
      )}
    </>
  );
}

function RuleRow({ rule }: { rule: Rule }) {
  const [open, setOpen] = useState(false);
  const runs = rule.runbook_id ?? rule.playbook_id;
  return (
    <tr>
      <td data-figures data-label={t.rules.priority}>{rule.priority}</td>
      <td>
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary><code>{rule.id}</code> {rule.title ?? rule.description}</summary>
          {open && <RuleDetail rule={rule} />}
        </details>
      </td>
      <td data-label={t.rules.action}>{words(rule.action)} {runs !== null && <code>{runs}</code>}</td>
      <td data-label={t.rules.source}>{rule.pack_id ?? rule.source}</td>
      <td data-label={t.rules.enabled}><Tag tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? t.rules.on : t.rules.off}</Tag></td>
    </tr>
  );
}

function RuleDetail({ rule }: { rule: Rule }) {
  const tenant = useTenant();
  const dryRun = useMutation({
    mutationFn: () => request<DryRun>(`rules/${encodeURIComponent(rule.id)}/dry-run`, { method: "POST", tenantId: tenant.id }),
  });
  const found = dryRun.data;
  return (
    <Stack gap="xs" mt="xs">
      {rule.description !== null && <span>{rule.description}</span>}
      <JsonView value={rule.conditions} label={t.rules.conditions} />
      <span className={tables["soft"]}>{t.rules.limits(rule.max_attempts, rule.cooldown_seconds)}</span>
      <Group gap="sm">
        <Button size="compact-xs" variant="default" onClick={() => dryRun.mutate()} loading={dryRun.isPending}>{t.rules.dryRun}</Button>
        {found !== undefined && (
          <span role="status">
            {t.rules.dryRunResult(found.matched, found.considered, found.won)} {found.truncated && t.rules.truncated}
          </span>
        )}
      </Group>
      {dryRun.error !== null && <Trouble error={dryRun.error} />}
    </Stack>
  );
}
