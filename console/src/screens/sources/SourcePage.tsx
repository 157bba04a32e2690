// One source: what came of what it sent, the steps to set it up, what was received, its mapping, and topics that ask.
import { Button, Group, NumberInput, PasswordInput, Select, Stack, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { request } from "../../api/client";
import { kindsQuery, payloadsQuery, sourceQuery, sourcesKey, wishesQuery, type IssuedSource, type Source, type SourceKind, type SourceTest, type Wish } from "../../api/sources";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconBack } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Facts, Fold, JsonView, Lines, Notice, PageHead, Panel, Trouble } from "../../ui/parts";
import { tellWithUndo } from "../../ui/undo";
import { Guide, Issued } from "./Issued";
import { Mapping } from "./Mapping";
import pages from "../IncidentPage.module.css";
import classes from "../../ui/authoring.module.css";

export function SourcePage() {
  const tenant = useTenant();
  const { sourceId } = useParams({ from: "/t/$tenant/sources/$sourceId" });
  const { data, error, refetch } = useQuery(sourceQuery(tenant.id, sourceId));
  const kinds = useQuery(kindsQuery(tenant.id));
  return (
    <>
      <Link to="/t/$tenant/sources" params={{ tenant: tenant.slug }} className={pages["back"] ?? ""}><IconBack width="0.9rem" /> {t.sources.back}</Link>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={8} /></Panel>}
      {data !== undefined && <OneSource source={data} kind={kinds.data?.items.find((one) => one.id === data.kind)} />}
    </>
  );
}

function OneSource({ source, kind }: { source: Source; kind: SourceKind | undefined }) {
  const mayWrite = useMay("sources:write");
  const [tab, setTab] = useAddressText("tab", "overview");
  return (
    <>
      <title>{t.pageTitle(source.name)}</title>
      <PageHead title={source.name}>
        {!source.enabled && <Tag tone="quiet">{t.sources.off}</Tag>}
        {mayWrite && <Buttons source={source} kind={kind} />}
      </PageHead>
      {source.secrets === 0 && source.authentication !== "sns" && <Notice title={t.sources.noSecret}>{t.sources.noSecretText}</Notice>}
      <Tabs value={tab} onChange={(value) => setTab(value ?? "overview")} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="overview">{t.sources.overview}</Tabs.Tab>
          <Tabs.Tab value="payloads">{t.sources.payloads}</Tabs.Tab>
          <Tabs.Tab value="mapping">{t.sources.mapping}</Tabs.Tab>
          {source.authentication === "sns" && <Tabs.Tab value="wishes">{t.sources.wishes}</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="overview" pt="md"><Overview source={source} kind={kind} /></Tabs.Panel>
        <Tabs.Panel value="payloads" pt="md"><Payloads source={source} /></Tabs.Panel>
        <Tabs.Panel value="mapping" pt="md"><Mapping source={source} /></Tabs.Panel>
        <Tabs.Panel value="wishes" pt="md"><Wishes source={source} /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Buttons({ source, kind }: { source: Source; kind: SourceKind | undefined }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [doing, setDoing] = useState<"rotate" | "remove" | null>(null);
  const turn = useMutation({
    mutationFn: (enabled: boolean) => request<Source>(`hook-sources/${source.id}`, { method: "PATCH", tenantId: tenant.id, body: { enabled, version: source.version } }),
    onSuccess: async (now) => {
      await client.invalidateQueries({ queryKey: sourcesKey(tenant.id) });
      tellWithUndo(t.sources.turned(source.name, now.enabled), async () => {
        await request(`hook-sources/${source.id}`, { method: "PATCH", tenantId: tenant.id, body: { enabled: !now.enabled, version: now.version } });
        await client.invalidateQueries({ queryKey: sourcesKey(tenant.id) });
      });
    },
  });
  const remove = useMutation({
    mutationFn: () => request<undefined>(`hook-sources/${source.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      notifications.show({ message: t.sources.removed(source.name) });
      await navigate({ to: "/t/$tenant/sources", params: { tenant: tenant.slug } });
      await client.invalidateQueries({ queryKey: sourcesKey(tenant.id) });
    },
  });
  return (
    <>
      {turn.error !== null && <Trouble error={turn.error} />}
      <Button size="xs" variant="default" loading={turn.isPending} onClick={() => turn.mutate(!source.enabled)}>{source.enabled ? t.sources.turnOff : t.sources.turnOn}</Button>
      {source.authentication !== "sns" && <Button size="xs" variant="default" onClick={() => setDoing("rotate")}>{t.sources.rotate}</Button>}
      <Button size="xs" variant="default" onClick={() => setDoing("remove")}>{t.sources.remove}</Button>
      {doing === "rotate" && <NewSecret source={source} kind={kind} onClose={() => setDoing(null)} />}
      {doing === "remove" && (
        <ConfirmDialog
          title={t.sources.removeName(source.name)} consequence={t.sources.removeText} confirm={t.sources.remove}
          pending={remove.isPending} error={remove.error} onClose={() => setDoing(null)} onConfirm={() => remove.mutate()}
        />
      )}
    </>
  );
}

function NewSecret({ source, kind, onClose }: { source: Source; kind: SourceKind | undefined; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const isTheirs = kind?.secret_from === "sender";
  const [secret, setSecret] = useState("");
  const [hours, setHours] = useState<number | string>(24);
  const give = useMutation({
    mutationFn: () => request<IssuedSource>(`hook-sources/${source.id}/secret`, { method: "POST", tenantId: tenant.id, body: { overlap_hours: Number(hours), ...(isTheirs ? { secret } : {}) } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: sourcesKey(tenant.id) });
      if (isTheirs) onClose();
    },
  });
  if (give.data !== undefined && !isTheirs) return <Issued source={give.data} setup={kind?.setup ?? []} onClose={onClose} />;
  return (
    <FormDialog
      title={t.sources.rotate} confirm={isTheirs ? t.sources.put : t.sources.rotate} size="lg" gap="md" disabled={isTheirs && secret === ""}
      pending={give.isPending} error={give.error} onClose={onClose} onSubmit={() => give.mutate()}
    >
      <p style={{ margin: 0 }}>{t.sources.rotateText}</p>
      {isTheirs && <PasswordInput label={t.sources.senderSecret} required data-autofocus autoComplete="off" maxLength={500} value={secret} onChange={(event) => setSecret(event.currentTarget.value)} />}
      <NumberInput label={t.sources.overlap} min={0} max={720} value={hours} onChange={setHours} />
    </FormDialog>
  );
}

function Overview({ source, kind }: { source: Source; kind: SourceKind | undefined }) {
  const mayWrite = useMay("sources:write");
  return (
    <Stack gap="md">
      <Panel>
        <Facts
          items={[
            [t.sources.kind, source.title],
            [t.sources.proof, t.sources.proofs[source.authentication] ?? source.authentication],
            ...(source.topic === null ? [] : [[t.sources.topic, <code key="topic">{source.topic}</code>] as [string, ReactNode]]),
            [t.sources.received, source.received_at === null ? t.sources.never : <Ago key="received" at={source.received_at} />],
            [t.sources.accepted, source.accepted],
            [t.sources.passedOver, source.passed_over],
            [t.sources.repeated, source.repeated],
            [t.sources.refused, source.refused],
            ...(source.refusal === null ? [] : [[t.sources.lastRefusal, <span key="refusal"><Ago at={source.refused_at} />: {source.refusal}</span>] as [string, ReactNode]]),
          ]}
        />
      </Panel>
      {kind !== undefined && <Panel title={t.sources.setUp(source.title)}><Stack gap="sm"><Guide source={source} setup={kind.setup} /></Stack></Panel>}
      {mayWrite && <Panel title={t.sources.test}><Test source={source} /></Panel>}
    </Stack>
  );
}

function Test({ source }: { source: Source }) {
  const tenant = useTenant();
  const test = useMutation({ mutationFn: () => request<SourceTest>(`hook-sources/${source.id}/test`, { method: "POST", tenantId: tenant.id, body: {} }) });
  return (
    <Stack gap="sm" align="flex-start">
      <p style={{ margin: 0 }}>{t.sources.testText}</p>
      <Button size="xs" variant="default" loading={test.isPending} onClick={() => test.mutate()}>{t.sources.test}</Button>
      {test.error !== null && <Trouble error={test.error} />}
      <div aria-live="polite">
        {test.data?.error != null && <p>{test.data.error}</p>}
        {test.data !== undefined && test.data.error === null && (
          <>
            <p>{t.sources.would(test.data.exceptions.length)} {test.data.passed_over > 0 && t.sources.wouldPass(test.data.passed_over)}</p>
            {test.data.exceptions.map((one, index) => <JsonView key={index} value={one} label={t.sources.exceptions} />)}
            <Fold title={t.sources.content}><JsonView value={test.data.payload} label={t.sources.content} /></Fold>
          </>
        )}
      </div>
    </Stack>
  );
}

const OUTCOMES = ["accepted", "passed_over", "refused"];
const TONES: Record<string, "good" | "quiet" | "person"> = { accepted: "good", passed_over: "quiet", refused: "person" };

function Payloads({ source }: { source: Source }) {
  const tenant = useTenant();
  const [outcome, setOutcome] = useAddressText("outcome");
  const list = useInfiniteQuery(payloadsQuery(tenant.id, source.id, OUTCOMES.includes(outcome) ? outcome : ""));
  return (
    <Stack gap="sm">
      <Select
        size="xs" w="14rem" aria-label={t.sources.outcome} allowDeselect={false} value={outcome} onChange={(value) => setOutcome(value ?? "")}
        data={[{ value: "", label: t.sources.anyOutcome }, ...OUTCOMES.map((value) => ({ value, label: t.sources.outcomes[value] ?? value }))]}
      />
      <Listing
        list={list} columns={[t.sources.at, t.sources.outcome, t.sources.exceptions, t.sources.content]}
        empty={<Empty title={t.sources.noPayloads}><p>{t.sources.noPayloadsText}</p></Empty>}
        row={(one) => (
          <>
            <td data-label={t.sources.at}><Ago at={one.received_at} /></td>
            <td data-label={t.sources.outcome}>
              <div><Tag tone={TONES[one.outcome] ?? "quiet"}>{t.sources.outcomes[one.outcome] ?? one.outcome}</Tag>{one.reason !== null && <div className={classes["soft"]}>{one.reason}</div>}</div>
            </td>
            <td data-label={t.sources.exceptions}>{one.exceptions.length}</td>
            <td data-label={t.sources.content}>{one.payload === null ? t.sources.tooLarge : <Fold title={t.sources.content}><JsonView value={one.payload} label={t.sources.content} /></Fold>}</td>
          </>
        )}
      />
    </Stack>
  );
}

function Wishes({ source }: { source: Source }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("sources:write");
  const list = useInfiniteQuery(wishesQuery(tenant.id, source.id));
  const decide = useMutation({
    mutationFn: ({ wish, verb }: { wish: Wish; verb: "confirm" | "reject" }) => request<Wish>(`hook-sources/${source.id}/subscriptions/${wish.id}/${verb}`, { method: "POST", tenantId: tenant.id }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: sourcesKey(tenant.id) });
      notifications.show({ message: t.sources.decided });
    },
  });
  return (
    <>
      {decide.error !== null && <Trouble error={decide.error} />}
      <Listing
        list={list} columns={[t.sources.topic, t.sources.asked, t.sources.state, unseen(t.common.actions)]}
        empty={<Empty title={t.sources.noWishes}><p>{t.sources.noWishesText}</p></Empty>}
        row={(wish) => (
          <>
            <td data-label={t.sources.topic}><code>{wish.topic}</code></td>
            <td data-label={t.sources.asked}><Ago at={wish.asked_at} /></td>
            <td data-label={t.sources.state}>{t.sources.states[wish.state] ?? wish.state}{wish.detail !== null && `: ${wish.detail}`}</td>
            <td data-figures>
              {mayWrite && (wish.state === "held" || wish.state === "failed") && (
                <Group gap="xs" justify="flex-end">
                  <Button size="compact-xs" loading={decide.isPending} onClick={() => decide.mutate({ wish, verb: "confirm" })}>{t.sources.allow}</Button>
                  <Button size="compact-xs" variant="default" loading={decide.isPending} onClick={() => decide.mutate({ wish, verb: "reject" })}>{t.sources.reject}</Button>
                </Group>
              )}
            </td>
          </>
        )}
      />
    </>
  );
}
