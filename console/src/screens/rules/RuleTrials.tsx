// Tries a rule before it is let loose: why it wins for one incident, and what it would have done in the last 30 days.
import { Button, Group, Stack, Textarea, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { RuleMatch } from "../../api/authoring";
import { request } from "../../api/client";
import type { DryRun, Explanations, Json, JsonObject, Page } from "../../api/types";
import { count, shortDateTime } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconCheck, IconCross } from "../../ui/icons";
import { SeverityMark, Tag } from "../../ui/marks";
import { Empty, Fold, Lines, Trouble } from "../../ui/parts";
import classes from "../../ui/authoring.module.css";
import tables from "../../ui/table.module.css";

export function Explain({ rule }: { rule: JsonObject | null }) {
  const tenant = useTenant();
  const [incidentId, setIncidentId] = useAddressText("incident");
  const [json, setJson] = useState('{\n  "check_type": "",\n  "platform": "linux"\n}');
  const explain = useMutation({
    mutationFn: () =>
      request<Explanations>("rules/explain", {
        method: "POST", tenantId: tenant.id,
        body: { ...(incidentId.trim() === "" ? { incident: JSON.parse(json) as Json } : { incident_id: incidentId.trim() }), ...(rule === null ? {} : { rule }) },
      }),
  });
  const found = explain.data;
  return (
    <Stack gap="sm">
      <p className={classes["headText"]}>{t.ruleEditor.explainHelp}</p>
      <TextInput label={t.ruleEditor.incidentId} value={incidentId} onChange={(event) => setIncidentId(event.currentTarget.value)} maxLength={36} />
      {incidentId.trim() === "" && (
        <Textarea
          label={t.ruleEditor.orJson} autosize minRows={4} maxRows={14} spellCheck={false} value={json} onChange={(event) => setJson(event.currentTarget.value)}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: "0.75rem" } }}
        />
      )}
      <Group><Button size="xs" onClick={() => explain.mutate()} loading={explain.isPending}>{t.ruleEditor.explain}</Button></Group>
      {explain.error !== null && <Trouble error={explain.error} {...(explain.error instanceof SyntaxError ? { title: t.editor.badJson } : {})} />}
      {found !== undefined && (
        <div role="status">
          <p><b>{t.ruleEditor.winner(found.winner)}</b> {t.ruleEditor.considered(found.matched, found.considered)}</p>
          <h3 className={classes["soft"]}>{t.ruleEditor.closest}</h3>
          {found.items.slice(0, 12).map((one) => (
            <Fold key={one.rule_id} title={`${one.winner ? "★ " : ""}${one.rule_id}: ${one.reason}`}>
              <div className={classes["scroll"]}>
                <table className={tables["table"]}>
                  <thead><tr><th>{t.ruleEditor.field}</th><th>{t.ruleEditor.operator}</th><th>{t.ruleEditor.value}</th><th>{t.ruleEditor.incident}</th><th /></tr></thead>
                  <tbody>
                    {one.conditions.map((condition) => (
                      <tr key={condition.path}>
                        <td data-label={t.ruleEditor.field}><code>{condition.field}</code></td>
                        <td data-label={t.ruleEditor.operator}>{condition.operator}</td>
                        <td data-label={t.ruleEditor.value}><code>{JSON.stringify(condition.expected)}</code></td>
                        <td data-label={t.ruleEditor.incident}><code>{condition.present ? JSON.stringify(condition.actual) : t.editor.none}</code></td>
                        <td>{condition.holds ? <IconCheck width="0.9rem" aria-label={t.playbooks.yes} aria-hidden={false} role="img" /> : <IconCross width="0.9rem" aria-label={t.playbooks.no} aria-hidden={false} role="img" />}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </Fold>
          ))}
        </div>
      )}
    </Stack>
  );
}

export function DryRunOfRule({ rule }: { rule: JsonObject | null }) {
  const tenant = useTenant();
  const [tried, setTried] = useState<JsonObject | null>(null);
  const dryRun = useMutation({
    mutationFn: (wanted: JsonObject) => request<DryRun>("rules/dry-run", { method: "POST", tenantId: tenant.id, body: { rule: wanted } }),
    onSuccess: (_found, wanted) => setTried(wanted),
  });
  const found = dryRun.data;
  return (
    <Stack gap="sm">
      <p className={classes["headText"]}>{t.ruleEditor.dryRunHelp}</p>
      <Group>
        <Button size="xs" disabled={rule === null} loading={dryRun.isPending} onClick={() => rule !== null && dryRun.mutate(rule)}>{t.ruleEditor.run}</Button>
      </Group>
      {dryRun.error !== null && <Trouble error={dryRun.error} />}
      {found !== undefined && (
        <>
          <p role="status" style={{ margin: 0 }}>
            {t.rules.dryRunResult(found.matched, found.considered, found.won)} {found.truncated && t.rules.truncated}
          </p>
          {found.by_day.length > 0 && <DayPlot days={found.by_day} />}
          {found.matched === 0 ? <Empty title={t.ruleEditor.matches}><p>{t.ruleEditor.noMatches}</p></Empty> : tried !== null && <Matches rule={tried} />}
        </>
      )}
    </Stack>
  );
}

type Days = DryRun["by_day"];

function DayPlot({ days }: { days: Days }) {
  const most = Math.max(...days.map((day) => day.considered), 1);
  const share = (n: number) => `${(n / most) * 100}%`;
  return (
    <figure style={{ margin: 0 }}>
      <figcaption className={classes["soft"]}>{t.ruleEditor.perDay}</figcaption>
      <div className={classes["plot"]} aria-hidden="true">
        {days.map((day) => (
          <div key={day.day} title={`${day.day}: ${day.considered} / ${day.matched} / ${day.won}`}>
            <i style={{ height: share(day.considered - day.matched) }} />
            <i data-part="matched" style={{ height: share(day.matched - day.won) }} />
            <i data-part="won" style={{ height: share(day.won) }} />
          </div>
        ))}
      </div>
      <p className={classes["legend"]} aria-hidden="true">
        {["considered", "matched", "won"].map((part) => <span key={part}><i data-part={part} />{t.ruleEditor.parts[part]}</span>)}
      </p>
      <div className="visually-hidden">
        <table>
          <caption>{t.ruleEditor.perDay}</caption>
          <thead><tr><th>{t.ruleEditor.day}</th>{["considered", "matched", "won"].map((part) => <th key={part}>{t.ruleEditor.parts[part]}</th>)}</tr></thead>
          <tbody>{days.map((day) => <tr key={day.day}><th scope="row">{day.day}</th><td>{day.considered}</td><td>{day.matched}</td><td>{day.won}</td></tr>)}</tbody>
        </table>
      </div>
    </figure>
  );
}

function Matches({ rule }: { rule: JsonObject }) {
  const tenant = useTenant();
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: [tenant.id, "rule-matches", rule],
    queryFn: ({ pageParam }) =>
      request<Page<RuleMatch>>("rules/dry-run/incidents", {
        method: "POST", tenantId: tenant.id, body: { rule, limit: 50, ...(pageParam === null ? {} : { cursor: pageParam }) },
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    staleTime: Infinity,
  });
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={5} />;
  const items = data.pages.flatMap((page) => page.items);
  return (
    <div>
      <div className={classes["scroll"]}>
        <table className={tables["table"]}>
          <caption className="visually-hidden">{t.ruleEditor.matches}</caption>
          <thead><tr><th>{t.ruleEditor.incident}</th><th>{t.ruleEditor.day}</th><th>{t.ruleEditor.then}</th><th>{t.ruleEditor.now}</th></tr></thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.id}>
                <td>
                  <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: one.id }}>#{count(one.number)} {one.title}</Link>{" "}
                  <SeverityMark severity={one.severity} />
                </td>
                <td data-label={t.ruleEditor.day}>{shortDateTime(one.opened_at)}</td>
                <td data-label={t.ruleEditor.then}><code>{one.decided_by ?? t.ruleEditor.nobody}</code></td>
                <td data-label={t.ruleEditor.now}>
                  {one.wins ? (
                    <Tag tone="good">{one.instead_of === null ? t.ruleEditor.thisRule : t.ruleEditor.instead(one.instead_of)}</Tag>
                  ) : (
                    <code>{one.instead_of ?? t.ruleEditor.nobody}</code>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {hasNextPage && <Button mt="xs" size="xs" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>{t.common.more}</Button>}
    </div>
  );
}
