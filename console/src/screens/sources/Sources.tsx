// The programs that send here: what came of what they sent, and a new one with its secret, shown once.
import { Button, Select, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { faultOf } from "../../api/problem";
import { kindsQuery, sourceListQuery, sourcesKey, type IssuedSource, type Source, type SourceKind } from "../../api/sources";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FormDialog } from "../../ui/FormDialog";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Listing } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Empty, PageHead, Trouble } from "../../ui/parts";
import { Issued } from "./Issued";
import classes from "../../ui/authoring.module.css";

export function Sources() {
  const tenant = useTenant();
  const mayWrite = useMay("sources:write");
  const [text, setText] = useAddressText("q");
  const list = useInfiniteQuery(sourceListQuery(tenant.id, text.trim()));
  const [making, setMaking] = useState(false);
  const add = mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setMaking(true)}>{t.sources.make}</Button>;
  return (
    <>
      <title>{t.pageTitle(t.sources.title)}</title>
      <PageHead title={t.sources.title}>
        <TextInput
          size="xs" type="search" placeholder={t.sources.search} aria-label={t.sources.search} leftSection={<IconSearch width="0.95rem" />}
          value={text} onChange={(event) => setText(event.currentTarget.value)}
        />
        {add}
      </PageHead>
      <Listing
        list={list} columns={[t.sources.name, t.sources.proof, t.sources.received, t.sources.accepted, t.sources.refused]}
        empty={text === "" ? <Empty title={t.sources.none}><p>{t.sources.noneText}</p></Empty> : <Empty title={t.sources.noneFound} />}
        row={(source) => <Cells source={source} />}
      />
      {making && <Make onClose={() => setMaking(false)} />}
    </>
  );
}

function Cells({ source }: { source: Source }) {
  const tenant = useTenant();
  return (
    <>
      <td data-label={t.sources.name}>
        <div>
          <Link to="/t/$tenant/sources/$sourceId" params={{ tenant: tenant.slug, sourceId: source.id }}>{source.name}</Link>{" "}
          {!source.enabled && <Tag tone="quiet">{t.sources.off}</Tag>}{" "}
          {source.secrets === 0 && source.authentication !== "sns" && <Tag tone="person">{t.sources.noSecret}</Tag>}{" "}
          {source.held > 0 && <Tag tone="waiting">{t.sources.held(source.held)}</Tag>}
          <div className={classes["soft"]}>{source.title}</div>
        </div>
      </td>
      <td data-label={t.sources.proof}>{t.sources.proofs[source.authentication] ?? source.authentication}</td>
      <td data-label={t.sources.received}>{source.received_at === null ? t.sources.never : <Ago at={source.received_at} />}</td>
      <td data-label={t.sources.accepted}>{source.accepted}</td>
      <td data-label={t.sources.refused}>
        <div>
          {source.refused}
          {source.refused_at !== null && <div className={classes["soft"]}><Ago at={source.refused_at} />: {source.refusal}</div>}
        </div>
      </td>
    </>
  );
}

function Make({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const kinds = useQuery(kindsQuery(tenant.id));
  const [name, setName] = useState("");
  const [kindId, setKindId] = useState<string | null>(null);
  const [proof, setProof] = useState<string | null>(null);
  const [topic, setTopic] = useState("");
  const kind: SourceKind | undefined = kinds.data?.items.find((one) => one.id === kindId);
  const way = proof ?? kind?.authentication[0];
  const make = useMutation({
    mutationFn: () =>
      request<IssuedSource>("hook-sources", {
        method: "POST", tenantId: tenant.id,
        body: { name: name.trim(), kind: kindId, authentication: way, ...(way === "sns" ? { topic: topic.trim() } : {}) },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: sourcesKey(tenant.id) }),
  });
  if (make.data !== undefined && kind !== undefined) return <Issued source={make.data} setup={kind.setup} onClose={onClose} />;
  const ready = name.trim() !== "" && kind !== undefined && (way !== "sns" || topic.trim() !== "");
  return (
    <FormDialog
      title={t.sources.make} confirm={t.sources.make} size="lg" gap="md" disabled={!ready}
      pending={make.isPending} error={make.error} onClose={onClose} onSubmit={() => make.mutate()}
    >
      {kinds.error !== null && <Trouble error={kinds.error} onRetry={() => void kinds.refetch()} />}
      <Select
        label={t.sources.kind} required searchable data-autofocus value={kindId}
        data={(kinds.data?.items ?? []).map((one) => ({ value: one.id, label: one.title }))}
        onChange={(value) => { setKindId(value); setProof(null); }}
        {...(kind === undefined ? {} : { description: kind.description })}
      />
      <TextInput label={t.sources.name} description={t.sources.nameHelp} required maxLength={100} value={name} error={faultOf(make.error, "/name")} onChange={(event) => setName(event.currentTarget.value)} />
      {kind !== undefined && kind.authentication.length > 1 && (
        <Select
          label={t.sources.proof} allowDeselect={false} value={way ?? null} onChange={setProof}
          data={kind.authentication.map((value) => ({ value, label: t.sources.proofs[value] ?? value }))}
        />
      )}
      {way === "sns" && <TextInput label={t.sources.topic} description={t.sources.topicHelp} required maxLength={330} value={topic} error={faultOf(make.error, "/topic")} onChange={(event) => setTopic(event.currentTarget.value)} />}
    </FormDialog>
  );
}
