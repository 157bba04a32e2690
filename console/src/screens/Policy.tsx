// The tenant's policy: as a form and as YAML, what another one would change, and what it was.
import { Button, Group, SegmentedControl, Select, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { DraftProblem, PastPolicy, Policy as PolicyThatHolds } from "../api/authoring";
import { policyHistoryQuery, policyQuery, policySchemaQuery, policyTemplatesQuery } from "../api/authoringQueries";
import { request } from "../api/client";
import { ApiProblem } from "../api/problem";
import type { Accepted, JsonObject } from "../api/types";
import { useAddressText } from "../lib/search";
import { asObject, asText } from "../lib/story";
import { useMay, useTenant } from "../lib/tenant";
import { useNotSaved } from "../lib/useNotSaved";
import { readYaml, writeYaml } from "../lib/yaml";
import { t } from "../texts";
import { FieldChanges } from "../ui/Diff";
import { Tag } from "../ui/marks";
import { Ago, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import { faultsBelow, SchemaForm } from "../ui/SchemaForm";
import { tellWithUndo } from "../ui/undo";
import { Versions } from "../ui/Versions";
import { Yaml } from "../ui/Yaml";
import classes from "../ui/authoring.module.css";
import { PolicyEffect } from "./policy/PolicyEffect";

export function Policy() {
  const tenant = useTenant();
  const policy = useQuery(policyQuery(tenant.id));
  const schema = useQuery(policySchemaQuery(tenant.id));
  const failure = policy.error ?? schema.error;
  return (
    <>
      <title>{t.pageTitle(t.policy.title)}</title>
      {policy.data === undefined || schema.data === undefined ? (
        failure !== null ? <Trouble error={failure} onRetry={() => { void policy.refetch(); void schema.refetch(); }} /> : <Panel><Lines rows={10} /></Panel>
      ) : (
        <Editor key={policy.data.version} held={policy.data} schema={schema.data} />
      )}
    </>
  );
}

function Editor({ held, schema }: { held: PolicyThatHolds; schema: JsonObject }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("packs:write");
  const [tab, setTab] = useAddressText("tab", "edit");
  const [mode, setMode] = useAddressText("as", "form");
  const first = useMemo(() => writeYaml(held.policy), [held]);
  const [document, setDocument] = useState<JsonObject | null>(held.policy);
  const [text, setText] = useState(first);
  const [done, setDone] = useState(false);
  const changed = !done && text !== first;
  useNotSaved(changed && mayWrite);
  const restore = async (to: number, expected: number) => {
    await request("policy/restore", { method: "POST", tenantId: tenant.id, body: { to, expected_version: expected } });
    await client.invalidateQueries({ queryKey: [tenant.id, "policy"] });
  };
  const save = useMutation({
    mutationFn: (wanted: JsonObject) => request<Accepted>("policy", { method: "PUT", tenantId: tenant.id, body: { policy: wanted, expected_version: held.version } }),
    onSuccess: async (answer) => {
      setDone(true);
      tellWithUndo(t.policy.saved, () => restore(held.version, Number(answer.id)));
      await client.invalidateQueries({ queryKey: [tenant.id, "policy"] });
    },
  });
  const refusal = save.error instanceof ApiProblem ? save.error.faults.map((one) => ({ ...one, pointer: one.pointer.replace(/^\/policy/, "") })) : [];
  const read = useMemo(() => readYaml(text), [text]);
  const problems: DraftProblem[] = [
    ...read.problems,
    ...(document === null && read.problems.length === 0 ? [{ line: 1, pointer: "", message: t.editor.notMapping, fix: "", level: "error" as const }] : []),
    ...refusal.map((one) => ({ line: read.lineOf(one.pointer), pointer: one.pointer, message: one.detail, fix: "", level: "error" as const })),
  ];
  const fromForm = (next: JsonObject) => {
    setDocument(next);
    setText(writeYaml(next));
    save.reset();
  };
  const fromText = (next: string) => {
    setText(next);
    setDocument(asObject(readYaml(next).value));
    save.reset();
  };
  return (
    <>
      <PageHead title={t.policy.title}>{changed && <Tag tone="waiting">{t.editor.unsaved}</Tag>}</PageHead>
      <p className={classes["headText"]}>
        {t.policy.lead} {t.policy.holds(held.version)} {held.changed_at !== null && <><Ago at={held.changed_at} /> {t.versions.by(held.changed_by ?? "")}</>}
      </p>
      <Panel>
        <Tabs value={tab} onChange={(value) => setTab(value ?? "")} keepMounted={false}>
          <Tabs.List mb="sm">
            <Tabs.Tab value="edit">{t.tabs.edit}</Tabs.Tab>
            <Tabs.Tab value="effect">{t.tabs.effect}</Tabs.Tab>
            <Tabs.Tab value="history">{t.tabs.history}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="edit">
            {!mayWrite && <p className={classes["soft"]}>{t.policy.mayNotWrite}</p>}
            <div className={classes["bar"]}>
              <SegmentedControl
                size="xs" aria-label={t.editor.view} value={mode} onChange={setMode}
                data={[{ value: "form", label: t.editor.form }, { value: "yaml", label: t.editor.yaml }]}
              />
              {mayWrite && <Templates onChoose={fromForm} />}
            </div>
            {mode === "yaml" ? (
              <Yaml value={text} label={t.editor.yaml} onChange={fromText} problems={problems} />
            ) : document === null ? (
              <p role="alert" className={classes["problems"]}>{t.editor.brokenYaml}</p>
            ) : (
              <SchemaForm schema={schema} value={document} onChange={fromForm} names={t.policy.names} faults={faultsBelow("", refusal)} />
            )}
            {save.error !== null && <Trouble error={save.error} />}
            {mayWrite && (
              <Group mt="md" gap="xs">
                <Button loading={save.isPending} disabled={!changed || document === null || read.problems.length > 0} onClick={() => document !== null && save.mutate(document)}>{t.policy.save}</Button>
                {changed && <Button variant="default" onClick={() => fromForm(held.policy)}>{t.editor.discard}</Button>}
              </Group>
            )}
          </Tabs.Panel>
          <Tabs.Panel value="effect"><PolicyEffect policy={document} /></Tabs.Panel>
          <Tabs.Panel value="history"><PolicyHistory version={held.version} restore={restore} /></Tabs.Panel>
        </Tabs>
      </Panel>
    </>
  );
}

function Templates({ onChoose }: { onChoose: (policy: JsonObject) => void }) {
  const tenant = useTenant();
  const { data } = useQuery(policyTemplatesQuery(tenant.id));
  if (data === undefined || data.items.length === 0) return null;
  return (
    <Select
      size="xs" w="16rem" aria-label={t.policy.template} placeholder={`${t.policy.template} ${t.policy.templates}`} value={null}
      data={data.items.map((one, index) => ({ value: String(index), label: asText(one["title"]) ?? String(index) }))}
      onChange={(value) => {
        const chosen = data.items[Number(value)];
        if (value !== null && chosen !== undefined) onChoose(chosen);
      }}
    />
  );
}

function PolicyHistory({ version, restore }: { version: number; restore: (to: number, expected: number) => Promise<void> }) {
  const tenant = useTenant();
  const mayWrite = useMay("packs:write");
  const query = useInfiniteQuery(policyHistoryQuery(tenant.id));
  const back = useMutation({
    mutationFn: (to: number) => restore(to, version),
    onSuccess: (_answer, to) => notifications.show({ message: t.versions.restored(to) }),
  });
  return (
    <>
      {back.error !== null && <Trouble error={back.error} />}
      <Versions<PastPolicy>
        query={query} present={version} pending={back.isPending} show={(item) => <FieldChanges changes={item.changes} />}
        onRestore={mayWrite ? (item) => back.mutate(item.version) : null}
      />
    </>
  );
}
