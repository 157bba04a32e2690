// One playbook: its graph, its YAML with problems at their lines, a dry-run, its runs and its history.
import { Button, Group, Tabs } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import type { DraftProblem, PastPlaybook, Playbook, PlaybookAccepted, PlaybookCheck } from "../../api/authoring";
import { playbookHistoryQuery, playbookQuery, playbooksQuery, ruleSchemaQuery, toolsQuery } from "../../api/authoringQueries";
import { request } from "../../api/client";
import type { JsonObject } from "../../api/types";
import { useAddressText } from "../../lib/search";
import { asObject, asText } from "../../lib/story";
import { useMay, useTenant } from "../../lib/tenant";
import { useAuthored } from "../../lib/useAuthored";
import { useNotSaved } from "../../lib/useNotSaved";
import { readYaml } from "../../lib/yaml";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { TextDiff } from "../../ui/Diff";
import { History } from "../../ui/History";
import { IconBack, IconPlay } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Lines, Notice, PageHead, Panel, Trouble } from "../../ui/parts";
import { Yaml } from "../../ui/Yaml";
import pages from "../IncidentPage.module.css";
import classes from "../../ui/authoring.module.css";
import { PlaybookGraph } from "./PlaybookGraph";
import { PlaybookRuns } from "./PlaybookRuns";
import { DryRunOfPlaybook, RunDialog } from "./RunPlaybook";

const CHECK_AFTER_MS = 400;
const NO_PROBLEMS: DraftProblem[] = [];

export function NewPlaybook() {
  return <Editor playbook={null} />;
}

export function PlaybookPage() {
  const tenant = useTenant();
  const { playbookId } = useParams({ from: "/t/$tenant/playbooks/$playbookId" });
  const { data, error, refetch } = useQuery(playbookQuery(tenant.id, playbookId));
  if (error !== null && data === undefined) {
    return <><Back /><Trouble error={error} onRetry={() => void refetch()} /><Panel><PlaybookHistory id={playbookId} version={null} /></Panel></>;
  }
  if (data === undefined) return <Panel><Lines rows={10} /></Panel>;
  return <Editor key={`${data.id} ${data.source} ${data.version}`} playbook={data} />;
}

function Back() {
  const tenant = useTenant();
  return <Link to="/t/$tenant/playbooks" params={{ tenant: tenant.slug }} className={pages["back"] ?? ""}><IconBack width="0.9rem" /> {t.playbooks.back}</Link>;
}

function Editor({ playbook }: { playbook: Playbook | null }) {
  const tenant = useTenant();
  const navigate = useNavigate();
  const mayWrite = useMay("playbooks:write");
  const mayRun = useMay("playbooks:run");
  const [tab, setTab] = useAddressText("tab", playbook === null ? "yaml" : "graph");
  const first = playbook?.yaml ?? t.playbooks.template;
  const [text, setText] = useState(first);
  const [asking, setAsking] = useState<"run" | "remove" | null>(null);
  const own = playbook?.source === "tenant";
  const { done, save, remove } = useAuthored({
    queryKey: [tenant.id, "playbooks"],
    save: (yaml: string) =>
      own
        ? request<PlaybookAccepted>(`playbooks/${encodeURIComponent(playbook.id)}`, { method: "PUT", tenantId: tenant.id, body: { yaml, version: playbook.version } })
        : request<PlaybookAccepted>("playbooks", { method: "POST", tenantId: tenant.id, body: { yaml } }),
    open: playbook === null ? (playbookId) => navigate({ to: "/t/$tenant/playbooks/$playbookId", params: { tenant: tenant.slug, playbookId }, ignoreBlocker: true }) : null,
    remove: () =>
      request(`playbooks/${encodeURIComponent(playbook?.id ?? "")}`, { method: "DELETE", tenantId: tenant.id, query: new URLSearchParams({ version: String(playbook?.version) }) }),
    removed: t.playbooks.removed(playbook?.id ?? ""),
    leave: () => navigate({ to: "/t/$tenant/playbooks", params: { tenant: tenant.slug }, ignoreBlocker: true }),
  });
  const changed = !done && text !== first;
  useNotSaved(changed && mayWrite);
  const { problems, valid } = useCheck(text, playbook !== null && !changed);
  const words = useWords();
  const drawn = useMemo<JsonObject>(() => asObject(readYaml(text).value) ?? playbook?.definition ?? {}, [text, playbook]);
  const title = playbook?.title ?? t.playbooks.make;
  const names = ["graph", "yaml", "dryRun", ...(playbook === null ? [] : ["runs", "history"])] as (keyof typeof t.tabs)[];
  return (
    <>
      <title>{t.pageTitle(title)}</title>
      <Back />
      <PageHead title={title}>
        {playbook !== null && mayRun && <Button size="xs" leftSection={<IconPlay width="0.9rem" />} onClick={() => setAsking("run")}>{t.playbooks.run}</Button>}
        {own && mayWrite && <Button size="xs" variant="default" onClick={() => setAsking("remove")}>{t.playbooks.remove}</Button>}
      </PageHead>
      {playbook !== null && (
        <p className={classes["headText"]}>
          <code>{playbook.id}</code> {playbook.pack_id ?? (playbook.replaces_pack ? t.playbooks.ownInstead : t.playbooks.own)} · {t.versions.version(playbook.version)}. {playbook.description}
        </p>
      )}
      <Panel>
        <Tabs value={tab} onChange={(value) => setTab(value ?? "")} keepMounted={false}>
          <Tabs.List mb="sm">{names.map((name) => <Tabs.Tab key={name} value={name}>{t.tabs[name]}</Tabs.Tab>)}</Tabs.List>
          <Tabs.Panel value="graph"><PlaybookGraph definition={drawn} /></Tabs.Panel>
          <Tabs.Panel value="yaml">
            {playbook !== null && !own && mayWrite && <Notice title={playbook.pack_id ?? ""}>{t.playbooks.copy}</Notice>}
            {!mayWrite && <p className={classes["soft"]}>{t.ruleEditor.mayNotWrite}</p>}
            {changed && <div className={classes["bar"]}><Tag tone="waiting">{t.editor.unsaved}</Tag></div>}
            <Yaml
              value={text} label={t.tabs.yaml} problems={problems} words={words}
              {...(mayWrite ? { onChange: (next: string) => { setText(next); save.reset(); } } : {})}
            />
            {save.error !== null && <Trouble error={save.error} />}
            {mayWrite && (
              <Group mt="md" gap="xs">
                <Button loading={save.isPending} disabled={!valid || (playbook !== null && !changed)} onClick={() => save.mutate(text)}>{playbook === null ? t.editor.create : t.editor.save}</Button>
                {changed && <Button variant="default" onClick={() => setText(first)}>{t.editor.discard}</Button>}
              </Group>
            )}
          </Tabs.Panel>
          <Tabs.Panel value="dryRun">
            <DryRunOfPlaybook
              playbook={{ id: playbook?.id ?? asText(drawn["id"]) ?? "", parameters: asObject(drawn["parameters"]) ?? {} }}
              draft={playbook === null || changed ? text : null}
            />
          </Tabs.Panel>
          {playbook !== null && <Tabs.Panel value="runs"><PlaybookRuns id={playbook.id} /></Tabs.Panel>}
          {playbook !== null && <Tabs.Panel value="history"><PlaybookHistory id={playbook.id} version={own ? playbook.version : null} /></Tabs.Panel>}
        </Tabs>
      </Panel>
      {asking === "run" && playbook !== null && <RunDialog playbook={playbook} onClose={() => setAsking(null)} />}
      {asking === "remove" && playbook !== null && (
        <Confirm title={t.playbooks.remove} confirm={t.playbooks.remove} danger pending={remove.isPending} error={remove.error} onClose={() => setAsking(null)} onConfirm={() => remove.mutate()}>
          <p style={{ margin: 0 }}>{t.playbooks.removeText(playbook.id)}</p>
        </Confirm>
      )}
    </>
  );
}

function PlaybookHistory({ id, version }: { id: string; version: number | null }) {
  const tenant = useTenant();
  const mayWrite = useMay("playbooks:write");
  const query = useInfiniteQuery(playbookHistoryQuery(tenant.id, id));
  const restore = (to: number) => request<PlaybookAccepted>(`playbooks/${encodeURIComponent(id)}/restore`, { method: "POST", tenantId: tenant.id, body: { to, version } });
  return (
    <History<PastPlaybook>
      query={query} queryKey={[tenant.id, "playbooks"]} present={version} isDeletion={(item) => item.yaml === null}
      show={(item) => <TextDiff before={item.before ?? ""} after={item.yaml ?? ""} label={t.versions.what} />} restore={restore} mayWrite={mayWrite}
    />
  );
}

/** What is wrong with the text: the platform is asked once typing stops. */
function useCheck(text: string, isStored: boolean): { problems: DraftProblem[]; valid: boolean } {
  const tenant = useTenant();
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), CHECK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const { data } = useQuery({
    queryKey: [tenant.id, "playbook-check", settled],
    queryFn: ({ signal }) => request<PlaybookCheck>("playbooks/check", { method: "POST", tenantId: tenant.id, body: { yaml: settled }, signal }),
    enabled: !isStored && settled.trim() !== "",
    staleTime: 60_000,
    gcTime: 60_000,
    placeholderData: (before) => before,
  });
  return { problems: isStored ? NO_PROBLEMS : (data?.problems ?? NO_PROBLEMS), valid: isStored || (data?.valid === true && settled === text) };
}

function useWords(): { label: string; detail: string }[] {
  const tenant = useTenant();
  const tools = useQuery({ ...toolsQuery(tenant.id), enabled: tenant.permissions.has("tools:read") }).data;
  const known = useQuery({ ...ruleSchemaQuery(tenant.id), enabled: tenant.permissions.has("rules:read") }).data;
  const playbooks = useQuery(playbooksQuery(tenant.id)).data;
  return useMemo(
    () => [
      ...["id", "title", "description", "parameters", "steps", "tool", "with", "when", "for_each", "retry", "timeout_seconds", "parallel", "playbook", "approve", "rollback", "verify"].map(
        (label) => ({ label, detail: t.playbooks.name }),
      ),
      ...(tools?.items ?? []).map((tool) => ({ label: tool.name, detail: tool.title })),
      ...(known?.runbooks ?? []).map((runbook) => ({ label: runbook.id, detail: runbook.title })),
      ...(playbooks?.items ?? []).map((one) => ({ label: one.id, detail: one.title })),
    ],
    [tools, known, playbooks],
  );
}
