// The mapping of a source: edited as YAML, tried on what was received with what would differ, saved, and undone.
import { Button, Group, Stack } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { DraftProblem } from "../../api/authoring";
import { request } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import { mappingQuery, sourcesKey, type MappingPreview, type Source, type SourceMapping } from "../../api/sources";
import type { JsonObject } from "../../api/types";
import { asObject } from "../../lib/story";
import { useMay, useTenant } from "../../lib/tenant";
import { readYaml, writeYaml } from "../../lib/yaml";
import { t } from "../../texts";
import { FieldChanges, TextDiff } from "../../ui/Diff";
import { Ago, Fold, JsonView, Lines, Panel, Trouble } from "../../ui/parts";
import { Yaml } from "../../ui/Yaml";
import classes from "../../ui/authoring.module.css";

export function Mapping({ source }: { source: Source }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(mappingQuery(tenant.id, source.id));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Panel><Lines rows={8} /></Panel>;
  return <Editor key={data.mapping_version} source={source} held={data} />;
}

function Editor({ source, held }: { source: Source; held: SourceMapping }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayWrite = useMay("sources:write");
  const present = writeYaml(held.mapping ?? held.of_pack ?? {});
  const [text, setText] = useState(present);
  const read = readYaml(text);
  const after = async (message: string) => {
    await client.invalidateQueries({ queryKey: sourcesKey(tenant.id) });
    notifications.show({ message });
  };
  const path = `hook-sources/${source.id}/mapping`;
  const preview = useMutation({ mutationFn: () => request<MappingPreview>(`${path}/preview`, { method: "POST", tenantId: tenant.id, body: { mapping: asObject(read.value) } }) });
  const put = useMutation({
    mutationFn: (mapping: JsonObject | null) => request<SourceMapping>(path, { method: "PUT", tenantId: tenant.id, body: { mapping, mapping_version: held.mapping_version } }),
    onSuccess: () => after(t.sources.saved),
  });
  const undo = useMutation({
    mutationFn: () => request<SourceMapping>(`${path}/undo`, { method: "POST", tenantId: tenant.id, body: { mapping_version: held.mapping_version } }),
    onSuccess: () => after(t.sources.undone),
  });
  const error = put.error ?? preview.error;
  const faults: DraftProblem[] = error instanceof ApiProblem
    ? error.faults.map((fault) => ({ line: read.lineOf(fault.pointer.replace(/^\/mapping/, "")), pointer: fault.pointer, message: fault.detail, fix: "", level: "error" }))
    : [];
  const problems = read.problems.length > 0 ? read.problems : faults;
  const isUsable = read.problems.length === 0 && asObject(read.value) !== undefined;
  return (
    <Stack gap="md">
      <Panel title={held.mapping === null ? t.sources.ofPack : t.sources.own(held.mapping_version)}>
        <Stack gap="sm">
          <p className={classes["soft"]} style={{ margin: 0 }}>{t.sources.mappingText}</p>
          <Yaml label={t.sources.mapping} value={text} problems={problems} {...(mayWrite ? { onChange: setText } : {})} />
          {error !== null && faults.length === 0 && <Trouble error={error} />}
          {undo.error !== null && <Trouble error={undo.error} />}
          {mayWrite && (
            <Group gap="xs">
              <Button size="xs" variant="default" disabled={!isUsable} loading={preview.isPending} onClick={() => preview.mutate()}>{t.sources.preview}</Button>
              <Button size="xs" disabled={!isUsable || text === present} loading={put.isPending} onClick={() => put.mutate(asObject(read.value) ?? null)}>{t.sources.save}</Button>
              {held.mapping !== null && held.of_pack !== null && <Button size="xs" variant="default" loading={put.isPending} onClick={() => put.mutate(null)}>{t.sources.usePack}</Button>}
              {held.can_undo && <Button size="xs" variant="default" loading={undo.isPending} onClick={() => undo.mutate()}>{t.sources.undo}</Button>}
            </Group>
          )}
        </Stack>
      </Panel>
      {text !== present && <Panel title={t.sources.difference}><TextDiff before={present} after={text} label={t.sources.difference} /></Panel>}
      <div aria-live="polite">{preview.data !== undefined && <Found preview={preview.data} />}</div>
    </Stack>
  );
}

function Found({ preview }: { preview: MappingPreview }) {
  return (
    <Panel title={t.sources.previewed(preview.changed, preview.items.length, preview.failing)}>
      <Stack gap="sm">
        {preview.items.map((one) => (
          <div key={one.payload_id}>
            <p style={{ margin: 0 }}><Ago at={one.received_at} />: {t.sources.counts(one.exceptions_before, one.exceptions_after)}</p>
            {one.error_after !== null && <p role="alert">{one.error_after}</p>}
            {one.changes.length > 0 && <FieldChanges changes={one.changes} />}
            {one.after.length > 0 && <Fold title={t.sources.exceptions}><JsonView value={one.after} label={t.sources.exceptions} /></Fold>}
          </div>
        ))}
      </Stack>
    </Panel>
  );
}
