// One tool: a form made from its schema to try it, what came of it, and its schemas.
import { Button, Group } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { Tool, ToolTest } from "../../api/authoring";
import { toolsQuery } from "../../api/authoringQueries";
import { request } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import type { JsonObject } from "../../api/types";
import { duration, words } from "../../lib/format";
import { asObject } from "../../lib/story";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { IconBack } from "../../ui/icons";
import { JsonTree } from "../../ui/JsonTree";
import { Tag } from "../../ui/marks";
import { Empty, Fold, JsonView, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import { faultsBelow, SchemaForm } from "../../ui/SchemaForm";
import pages from "../IncidentPage.module.css";
import classes from "../../ui/authoring.module.css";

export function ToolPage() {
  const tenant = useTenant();
  const { toolName } = useParams({ from: "/t/$tenant/tools/$toolName" });
  const { data, error, refetch } = useQuery(toolsQuery(tenant.id));
  const tool = data?.items.find((one) => one.name === toolName);
  return (
    <>
      <Link to="/t/$tenant/tools" params={{ tenant: tenant.slug }} className={pages["back"] ?? ""}><IconBack width="0.9rem" /> {t.tools.back}</Link>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={8} /></Panel>}
      {data !== undefined && tool === undefined && <Panel><Empty title={t.notFound.title}><p>{t.notFound.text}</p></Empty></Panel>}
      {tool !== undefined && <OneTool key={tool.name} tool={tool} />}
    </>
  );
}

function OneTool({ tool }: { tool: Tool }) {
  const mayTry = useMay("playbooks:run");
  return (
    <>
      <title>{t.pageTitle(tool.title)}</title>
      <PageHead title={tool.title}><Tag tone={tool.enabled ? "good" : "quiet"}>{tool.enabled ? t.rules.on : t.rules.off}</Tag></PageHead>
      <p className={classes["headText"]}><code>{tool.name}</code> {tool.version}. {tool.description}</p>
      <Panel title={t.tools.test}>{mayTry ? <TryTool tool={tool} /> : <p className={classes["soft"]}>{t.tools.mayNotTry}</p>}</Panel>
      <Panel title={t.tools.schemas} style={{ marginTop: "1rem" }}>
        <Fold title={t.tools.input}><JsonView value={tool.input_schema} label={t.tools.input} /></Fold>
        <Fold title={t.tools.output}><JsonView value={tool.output_schema} label={t.tools.output} /></Fold>
      </Panel>
    </>
  );
}

function TryTool({ tool }: { tool: Tool }) {
  const tenant = useTenant();
  const mayCall = useMay("tools:write");
  const [input, setInput] = useState<JsonObject>({});
  const [asking, setAsking] = useState(false);
  const attempt = useMutation({
    mutationFn: (dryRun: boolean) => request<ToolTest>(`tools/${encodeURIComponent(tool.name)}/test`, { method: "POST", tenantId: tenant.id, body: { input, dry_run: dryRun } }),
    onSuccess: () => setAsking(false),
  });
  const found = attempt.data;
  const hasInput = Object.keys(asObject(tool.input_schema["properties"]) ?? {}).length > 0;
  return (
    <>
      <p className={classes["headText"]}>{t.tools.testHelp}</p>
      {hasInput ? (
        <SchemaForm schema={tool.input_schema} value={input} onChange={setInput} faults={attempt.error instanceof ApiProblem ? faultsBelow("/input", attempt.error.faults) : {}} />
      ) : (
        <p className={classes["soft"]}>{t.tools.noInput}</p>
      )}
      <Group mt="sm" gap="xs">
        <Button size="xs" loading={attempt.isPending && attempt.variables} onClick={() => attempt.mutate(true)}>{t.tools.dryRun}</Button>
        {mayCall && <Button size="xs" variant="default" onClick={() => { attempt.reset(); setAsking(true); }}>{t.tools.real}</Button>}
      </Group>
      {attempt.error !== null && !asking && <Trouble error={attempt.error} />}
      {found !== undefined && (
        <div role="status" style={{ marginTop: "0.8rem" }}>
          <p>
            <b>{found.dry_run ? t.tools.dryRun : t.tools.result}</b> <Tag tone={found.state === "succeeded" ? "good" : "person"}>{words(found.state)}</Tag>{" "}
            {found.called && <span className={classes["soft"]}>{t.tools.took(duration(found.seconds))}</span>}
          </p>
          {found.called ? <JsonTree value={found.error ?? found.output} label={t.tools.output} /> : <p>{t.tools.notCalled}</p>}
        </div>
      )}
      {asking && (
        <Confirm title={t.tools.realTitle(tool.name)} confirm={t.tools.real} danger wide pending={attempt.isPending} error={attempt.error} onClose={() => setAsking(false)} onConfirm={() => attempt.mutate(false)}>
          <p style={{ margin: 0 }}>{t.tools.realText}</p>
          <JsonView value={input} label={t.tools.input} />
        </Confirm>
      )}
    </>
  );
}
