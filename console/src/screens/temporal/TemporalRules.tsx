// The rules over time: searched, filtered, switched on and off, with how much they remember and how often they fired.
import { Button, Select, Switch, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue } from "react";
import { switchTemporalRule, temporalKey, temporalMemoryQuery, temporalRulesQuery, type TemporalRule } from "../../api/temporal";
import { count } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Listing } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Notice, PageHead, Trouble } from "../../ui/parts";
import { tellWithUndo } from "../../ui/undo";

export function TemporalRules() {
  const tenant = useTenant();
  const mayWrite = useMay("rules:write");
  const [q, setQ] = useAddressText("q");
  const [kind, setKind] = useAddressText("kind");
  const wanted = useDeferredValue(q.trim());
  const list = useInfiniteQuery(temporalRulesQuery(tenant.id, { ...(wanted === "" ? {} : { q: wanted }), ...(kind === "" ? {} : { kind }) }));
  const memory = useQuery(temporalMemoryQuery(tenant.id)).data;
  const filtered = q !== "" || kind !== "";
  return (
    <>
      <title>{t.pageTitle(t.temporal.title)}</title>
      <PageHead title={t.temporal.title}>
        <TextInput size="xs" type="search" placeholder={t.temporal.search} aria-label={t.temporal.search} leftSection={<IconSearch width="0.9rem" />} value={q} maxLength={200} onChange={(event) => setQ(event.currentTarget.value)} />
        <Select
          size="xs" w="14rem" aria-label={t.temporal.kind} placeholder={t.temporal.anyKind} clearable value={kind === "" ? null : kind} onChange={(next) => setKind(next ?? "")}
          data={Object.entries(t.temporal.kinds).map(([value, label]) => ({ value, label }))}
        />
        {mayWrite && (
          <Button size="xs" leftSection={<IconPlus width="0.95rem" />} renderRoot={(props: object) => <Link to="/t/$tenant/temporal-rules/new" params={{ tenant: tenant.slug }} {...props} />}>
            {t.temporal.make}
          </Button>
        )}
      </PageHead>
      <p>{t.temporal.lead} {memory !== undefined && t.temporal.memory(memory.keys, memory.most_keys, memory.bytes)}</p>
      {memory !== undefined && memory.evicted + memory.refused > 0 && <Notice title={t.temporal.keys}>{t.temporal.overLimit(memory.evicted, memory.refused)}</Notice>}
      <Listing<TemporalRule>
        list={list}
        empty={<Empty title={filtered ? t.temporal.noneFound : t.temporal.none}><p>{t.temporal.noneText}</p></Empty>}
        columns={[t.temporal.rule, t.temporal.kind, t.temporal.from, t.temporal.keys, t.temporal.fired, t.temporal.last, t.temporal.enabled]}
        row={(rule) => (
          <>
            <td><Link to="/t/$tenant/temporal-rules/$temporalRuleId" params={{ tenant: tenant.slug, temporalRuleId: rule.id }}><code>{rule.id}</code></Link> {rule.title}</td>
            <td data-label={t.temporal.kind}>{t.temporal.kinds[rule.kind]}</td>
            <td data-label={t.temporal.from}>{rule.pack_id ?? t.temporal.own}</td>
            <td data-label={t.temporal.keys}>{count(rule.figures.keys)}</td>
            <td data-label={t.temporal.fired}>{count(rule.figures.fired)}</td>
            <td data-label={t.temporal.last}>{rule.figures.fired_at === null ? "–" : <Ago at={rule.figures.fired_at} />}</td>
            <td data-label={t.temporal.enabled}>
              {mayWrite ? <RuleSwitch rule={rule} /> : <Tag tone={rule.enabled ? "good" : "quiet"}>{rule.enabled ? t.temporal.on : t.temporal.off}</Tag>}
            </td>
          </>
        )}
      />
    </>
  );
}

function RuleSwitch({ rule }: { rule: TemporalRule }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const put = async (enabled: boolean, version: number | null) => {
    const answer = await switchTemporalRule(tenant.id, rule.id, enabled, version);
    await client.invalidateQueries({ queryKey: temporalKey(tenant.id) });
    return answer;
  };
  const turn = useMutation({
    mutationFn: (enabled: boolean) => put(enabled, rule.version),
    onSuccess: (answer, enabled) => tellWithUndo(t.temporal.switched(rule.id, enabled), () => put(!enabled, answer.version ?? null)),
  });
  return (
    <>
      <Switch size="xs" aria-label={t.temporal.turnOn(rule.id)} checked={rule.enabled} disabled={turn.isPending} onChange={(event) => turn.mutate(event.currentTarget.checked)} />
      {turn.error !== null && <Trouble error={turn.error} />}
    </>
  );
}
