// The L1 rules in the order in which they win; read only for now.
import { TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { rulesQuery } from "../api/queries";
import type { Rule } from "../api/types";
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
  const withHits = rules?.some((rule) => rule.hits != null) ?? false;
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
                <th>{t.rules.enabled}</th>{withHits && <th data-figures>{t.rules.hits}</th>}
              </tr>
            </thead>
            <tbody>{shown.map((rule) => <RuleRow key={rule.id} rule={rule} withHits={withHits} />)}</tbody>
          </table>
        </Panel>
      )}
    </>
  );
}

function RuleRow({ rule, withHits }: { rule: Rule; withHits: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <tr>
      <td data-figures>{rule.priority}</td>
      <td>
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary><code>{rule.id}</code> {rule.title ?? rule.description}</summary>
          {open && <JsonView value={rule.conditions} label={t.rules.conditions} />}
        </details>
      </td>
      <td>{words(rule.action)} {(rule.runbook_id ?? rule.playbook_id) != null && <code>{rule.runbook_id ?? rule.playbook_id}</code>}</td>
      <td>{rule.source}</td>
      <td><Tag tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? t.rules.on : t.rules.off}</Tag></td>
      {withHits && <td data-figures>{rule.hits == null ? "–" : count(rule.hits)}</td>}
    </tr>
  );
}
