// Who changed what, and who read what is sensitive: searched by address, shown before and after, exported.
import { Button, Menu, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Fragment, useEffect, useMemo, useState } from "react";
import { download } from "../../api/client";
import { membersQuery } from "../../api/identityQueries";
import type { AuditRecord } from "../../api/platform";
import { auditQuery } from "../../api/platformQueries";
import { meQuery } from "../../api/queries";
import { dateTime, words } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconDownload, IconRight, IconSearch } from "../../ui/icons";
import { Empty, Facts, Hash, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import classes from "./Audit.module.css";
import { auditParameters, readAuditFilters, type AuditFilters } from "./filters";
import { Retention } from "./Retention";

const route = getRouteApi("/t/$tenant/audit");
const TYPING_MS = 350;
/* What a sensitive read asked for changed nothing. */
const ASKED = "asked";
const TEXT_FILTERS = ["q", "action", "actor", "target_type", "target_id"] as const;

export function Audit() {
  const tenant = useTenant();
  const filters = route.useSearch();
  const wanted = auditParameters(filters);
  const list = useInfiniteQuery(auditQuery(tenant.id, wanted));
  const nameOf = useActorNames();
  const records = list.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <title>{t.pageTitle(t.nav.audit)}</title>
      <PageHead title={t.nav.audit}><ExportMenu wanted={wanted} /></PageHead>
      <Filters filters={filters} />
      <Retention />
      {list.error !== null && records === undefined && <Trouble error={list.error} onRetry={() => void list.refetch()} />}
      {records === undefined && list.error === null && <Panel><Lines rows={8} /></Panel>}
      {records?.length === 0 && <Panel><Empty title={t.audit.none}><p>{Object.keys(filters).length === 0 ? t.audit.noneText : t.audit.noneFoundText}</p></Empty></Panel>}
      {records !== undefined && records.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead>
              <tr><th>{t.audit.when}</th><th>{t.audit.who}</th><th>{t.audit.what}</th><th>{t.audit.target}</th><th>{t.audit.from}</th><th><span className="visually-hidden">{t.audit.more}</span></th></tr>
            </thead>
            <tbody>{records.map((record) => <Row key={record.id} record={record} actor={nameOf(record.actor)} filters={filters} />)}</tbody>
          </table>
        </Panel>
      )}
      {list.hasNextPage && <Button mt="sm" size="xs" variant="default" onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>{t.common.more}</Button>}
    </>
  );
}

function Filters({ filters }: { filters: AuditFilters }) {
  const navigate = route.useNavigate();
  const set = (name: keyof AuditFilters, value: string) => {
    void navigate({ search: (before: AuditFilters) => readAuditFilters({ ...before, [name]: value }), replace: true });
  };
  return (
    <search className={classes["filters"]}>
      {TEXT_FILTERS.map((name) => <TextFilter key={name} name={name} value={filters[name] ?? ""} onSettled={(value) => set(name, value)} />)}
      {(["from", "to"] as const).map((name) => (
        <TextInput key={name} type="date" label={t.audit.filter[name]} size="xs" value={filters[name] ?? ""} onChange={(event) => set(name, event.currentTarget.value)} />
      ))}
      {Object.keys(filters).length > 0 && <Button size="xs" variant="subtle" onClick={() => void navigate({ search: {}, replace: true })}>{t.incidents.clear}</Button>}
    </search>
  );
}

function TextFilter({ name, value, onSettled }: { name: (typeof TEXT_FILTERS)[number]; value: string; onSettled: (value: string) => void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = setTimeout(() => onSettled(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, value, onSettled]);
  return (
    <TextInput
      type="search" size="xs" label={t.audit.filter[name]} placeholder={t.audit.example[name]} value={typed} maxLength={200} onChange={(event) => setTyped(event.currentTarget.value)}
      leftSection={name === "q" ? <IconSearch width="0.9rem" /> : undefined}
    />
  );
}

function Row({ record, actor, filters }: { record: AuditRecord; actor: string; filters: AuditFilters }) {
  const tenant = useTenant();
  const [open, setOpen] = useState(false);
  const id = `audit-${record.id}`;
  return (
    <Fragment>
      <tr>
        <td data-label={t.audit.when}><time dateTime={record.occurred_at}>{dateTime(record.occurred_at)}</time></td>
        <td data-label={t.audit.who}>
          <Link to="/t/$tenant/audit" params={{ tenant: tenant.slug }} search={{ ...filters, actor: record.actor }} title={t.audit.allBy(actor)} className={classes["narrow"]}>{actor}</Link>
        </td>
        <td data-label={t.audit.what}>{words(record.action.replaceAll(".", " "))}</td>
        <td data-label={t.audit.target}><div>{words(record.target_type)}{record.target_id !== null && <Target record={record} id={record.target_id} />}</div></td>
        <td data-label={t.audit.from}>{record.address ?? "–"}</td>
        <td data-figures>
          <Button
            size="compact-xs" variant="default" aria-expanded={open} aria-controls={open ? id : undefined} onClick={() => setOpen(!open)} data-print
            rightSection={<IconRight width="0.8rem" style={{ rotate: open ? "90deg" : "0deg" }} />}
          >
            {record.changes.every((change) => change.field === ASKED) ? t.audit.more : t.audit.changes(record.changes.length)}
          </Button>
        </td>
      </tr>
      {open && <tr id={id} className={classes["detail"]}><td colSpan={6}><Detail record={record} /></td></tr>}
    </Fragment>
  );
}

/* Everything that happened to it, whoever did it and when. */
function Target({ record, id }: { record: AuditRecord; id: string }) {
  const tenant = useTenant();
  return (
    <div className={classes["id"]}>
      <Link to="/t/$tenant/audit" params={{ tenant: tenant.slug }} search={{ target_type: record.target_type, target_id: id }} title={t.audit.allAbout(`${words(record.target_type)} ${id}`)} className={classes["narrow"]}>
        <code>{id}</code>
      </Link>
    </div>
  );
}

function Detail({ record }: { record: AuditRecord }) {
  return (
    <div>
      {record.changes.length > 0 && (
        <table className={classes["diff"]}>
          <thead><tr><th>{t.audit.field}</th><th>{t.audit.before}</th><th>{t.audit.after}</th></tr></thead>
          <tbody>
            {record.changes.map((change) => (
              <tr key={change.field}>
                <th scope="row"><code>{change.field}</code></th>
                <td data-side="before"><del>{shown(change.before)}</del></td>
                <td data-side="after"><ins>{shown(change.after)}</ins></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Facts
        items={[
          [t.audit.action, <code key="action">{record.action}</code>], [t.audit.who, <code key="actor">{record.actor}</code>], [t.problem.requestId, <code key="request">{record.request_id ?? "–"}</code>],
          [t.audit.bundle, record.bundle_id === null ? t.audit.notSealed : <Hash key="bundle" value={record.bundle_id} label={t.audit.bundle} />],
        ]}
      />
    </div>
  );
}

function shown(value: AuditRecord["before"]): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function ExportMenu({ wanted }: { wanted: Record<string, string> }) {
  const tenant = useTenant();
  const run = useMutation({
    mutationFn: (format: "csv" | "json") => download("audit/export", `audit.${format}`, { tenantId: tenant.id, query: new URLSearchParams({ ...wanted, format }) }),
  });
  return (
    <>
      {run.error !== null && <Trouble error={run.error} />}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button size="xs" variant="default" leftSection={<IconDownload width="0.95rem" />} loading={run.isPending}>{t.incidents.export}</Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{t.incidents.exportHelp}</Menu.Label>
          <Menu.Item onClick={() => run.mutate("csv")}>{t.audit.csv}</Menu.Item>
          <Menu.Item onClick={() => run.mutate("json")}>{t.audit.json}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

/* People by name where one may see who they are; programs and the platform as the record calls them. */
function useActorNames(): (actor: string) => string {
  const tenant = useTenant();
  const may = useMay("users:read");
  const { data } = useInfiniteQuery({ ...membersQuery(tenant.id, {}), enabled: may });
  const me = useQuery(meQuery()).data;
  const names = useMemo(() => {
    const people = [...(me === undefined ? [] : [me]), ...(data?.pages.flatMap((page) => page.items) ?? [])];
    return new Map(people.map((person) => [`user:${person.id}`, person.name || (person.email ?? person.id)]));
  }, [data, me]);
  return (actor) => names.get(actor) ?? t.audit.actor(actor);
}
