// One pack: its installed versions, what differs between them, its test results, activation and the way back.
import { Button, Group, Select, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { Pack, PackVersions } from "../../api/authoring";
import { packsQuery, packVersionsQuery } from "../../api/authoringQueries";
import { request } from "../../api/client";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Confirm } from "../../ui/Confirm";
import { IconBack } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Ago, Empty, Hash, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import pages from "../IncidentPage.module.css";
import classes from "../../ui/authoring.module.css";
import tables from "../../ui/table.module.css";
import { PackDiffView } from "./PackDiffView";
import { PackTests } from "./PackTests";

type Wanted = { verb: "activate"; version: string } | { verb: "deactivate" } | { verb: "rollback" };

export function PackPage() {
  const tenant = useTenant();
  const { packId } = useParams({ from: "/t/$tenant/packs/$packId" });
  const packs = useQuery(packsQuery(tenant.id));
  const versions = useQuery(packVersionsQuery(tenant.id, packId));
  const pack = packs.data?.items.find((one) => one.id === packId);
  const failure = versions.data === undefined ? (versions.error ?? packs.error) : null;
  return (
    <>
      <Link to="/t/$tenant/packs" params={{ tenant: tenant.slug }} className={pages["back"] ?? ""}><IconBack width="0.9rem" /> {t.packs.back}</Link>
      {failure !== null && <Trouble error={failure} onRetry={() => { void packs.refetch(); void versions.refetch(); }} />}
      {failure === null && (pack === undefined || versions.data === undefined) && <Panel><Lines rows={8} /></Panel>}
      {pack !== undefined && versions.data !== undefined && <OnePack key={pack.id} pack={pack} versions={versions.data} />}
    </>
  );
}

function OnePack({ pack, versions }: { pack: Pack; versions: PackVersions }) {
  const mayWrite = useMay("packs:write");
  const [tab, setTab] = useAddressText("tab", "versions");
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const current = versions.history.find((choice) => choice.current);
  return (
    <>
      <title>{t.pageTitle(pack.title)}</title>
      <PageHead title={pack.title}>
        {pack.active_version === null ? <Tag tone="quiet">{t.packs.off}</Tag> : <Tag tone="good">{pack.active_version}</Tag>}
        {mayWrite && current !== undefined && current.mode !== "default" && <Button size="xs" variant="default" onClick={() => setWanted({ verb: "rollback" })}>{t.packs.rollback}</Button>}
        {mayWrite && pack.active_version !== null && <Button size="xs" variant="default" onClick={() => setWanted({ verb: "deactivate" })}>{t.packs.deactivate}</Button>}
      </PageHead>
      <p className={classes["headText"]}>{pack.description} {t.packs.counts(pack.counts.rules, pack.counts.playbooks, pack.counts.runbooks, pack.counts.exception_types)}</p>
      <Panel>
        <Tabs value={tab} onChange={(value) => setTab(value ?? "")} keepMounted={false}>
          <Tabs.List mb="sm">
            <Tabs.Tab value="versions">{t.packs.versions}</Tabs.Tab>
            <Tabs.Tab value="diff">{t.tabs.diff}</Tabs.Tab>
            <Tabs.Tab value="tests">{t.tabs.tests}</Tabs.Tab>
            <Tabs.Tab value="history">{t.tabs.history}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="versions"><VersionTable versions={versions} mayWrite={mayWrite} onActivate={(version) => setWanted({ verb: "activate", version })} /></Tabs.Panel>
          <Tabs.Panel value="diff"><Differences packId={pack.id} versions={versions} /></Tabs.Panel>
          <Tabs.Panel value="tests"><PackTests packId={pack.id} versions={versions.items} /></Tabs.Panel>
          <Tabs.Panel value="history"><Choices versions={versions} /></Tabs.Panel>
        </Tabs>
      </Panel>
      {wanted !== null && <Change pack={pack} versions={versions} wanted={wanted} onClose={() => setWanted(null)} />}
    </>
  );
}

function VersionTable({ versions, mayWrite, onActivate }: { versions: PackVersions; mayWrite: boolean; onActivate: (version: string) => void }) {
  return (
    <table className={tables["table"]}>
      <thead><tr><th>{t.packs.version}</th><th>{t.packs.origin}</th><th>{t.packs.installed}</th><th>SHA-256</th><th><span className="visually-hidden">{t.packs.activate}</span></th></tr></thead>
      <tbody>
        {versions.items.map((one) => (
          <tr key={one.version}>
            <td data-label={t.packs.version}>{one.version} {one.active && <Tag tone="good">{t.packs.isActive}</Tag>}</td>
            <td data-label={t.packs.origin}>{one.origin}</td>
            <td data-label={t.packs.installed}><Ago at={one.installed_at} /> {t.versions.by(one.installed_by)}</td>
            <td data-label="SHA-256"><Hash value={one.digest} label="SHA-256" /></td>
            <td data-figures>{mayWrite && !one.active && <Button size="compact-xs" variant="default" aria-label={t.packs.activateName(one.version)} onClick={() => onActivate(one.version)}>{t.packs.activate}</Button>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Differences({ packId, versions }: { packId: string; versions: PackVersions }) {
  const all = versions.items.map((one) => one.version);
  const active = versions.items.find((one) => one.active)?.version;
  const [from, setFrom] = useAddressText("from", active ?? all[1] ?? "");
  const [to, setTo] = useAddressText("to", all.find((one) => one !== active) ?? "");
  if (all.length < 2) return <Empty title={t.tabs.diff}><p>{t.packs.onlyOne}</p></Empty>;
  return (
    <>
      <Group gap="xs">
        <Select size="xs" label={t.packs.from} allowDeselect={false} data={all} value={from} onChange={(value) => setFrom(value ?? "")} />
        <Select size="xs" label={t.packs.to} allowDeselect={false} data={all} value={to} onChange={(value) => setTo(value ?? "")} />
      </Group>
      <PackDiffView packId={packId} from={from} to={to} />
    </>
  );
}

function Choices({ versions }: { versions: PackVersions }) {
  if (versions.history.length === 0) return <Empty title={t.packs.history}><p>{t.packs.noHistory}</p></Empty>;
  return (
    <ol reversed>
      {versions.history.map((choice) => (
        <li key={choice.id}>
          <b>{choice.version ?? (choice.mode === "off" ? t.packs.without : t.packs.theDefault)}</b> {t.packs.kinds[choice.kind] ?? choice.kind} <Ago at={choice.activated_at} />{" "}
          <span className={classes["soft"]}>{t.versions.by(choice.actor)}</span> {choice.current && <Tag tone="good">{t.versions.present}</Tag>}
        </li>
      ))}
    </ol>
  );
}

function Change({ pack, versions, wanted, onClose }: { pack: Pack; versions: PackVersions; wanted: Wanted; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const { verb } = wanted;
  const change = useMutation({
    mutationFn: () =>
      request(`packs/${encodeURIComponent(pack.id)}/${verb}`, { method: "POST", tenantId: tenant.id, ...(verb === "activate" ? { body: { version: wanted.version } } : {}) }),
    onSuccess: async () => {
      // Rules, playbooks and tools are made of packs: everything that was read may be another now.
      await client.invalidateQueries({ queryKey: [tenant.id] });
      notifications.show({ message: verb === "activate" ? t.packs.activated(wanted.version) : verb === "deactivate" ? t.packs.deactivated : t.packs.rolledBack });
      onClose();
    },
  });
  const titles = { activate: t.packs.activateTitle(pack.id, verb === "activate" ? wanted.version : ""), deactivate: t.packs.deactivateTitle(pack.id), rollback: t.packs.rollbackTitle(pack.id) };
  const texts = { activate: t.packs.activateText, deactivate: t.packs.deactivateText, rollback: t.packs.rollbackText(versions.history.length > 1 ? t.packs.earlier : t.packs.theDefault) };
  return (
    <Confirm title={titles[verb]} confirm={t.packs[verb]} danger={verb !== "activate"} wide={verb === "activate"} pending={change.isPending} error={change.error} onClose={onClose} onConfirm={() => change.mutate()}>
      <p style={{ margin: 0 }}>{texts[verb]}</p>
      {verb === "activate" && pack.active_version !== null && (
        <>
          <h3>{t.packs.changes}</h3>
          <PackDiffView packId={pack.id} from={pack.active_version} to={wanted.version} />
        </>
      )}
    </Confirm>
  );
}
