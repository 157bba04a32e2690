// The stored events, newest first, growing while one looks; held while one reads, and each to be opened as a tree.
import { Button, Group, TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Fragment, useEffect, useRef, useState } from "react";
import { storedEventsQuery } from "../../api/platformQueries";
import type { JsonObject, StoredEvent } from "../../api/types";
import { clockTime, dateTime } from "../../lib/format";
import { useLiveMessages } from "../../lib/liveFeed";
import { sentenceOf } from "../../lib/story";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconPause, IconPlay, IconRight } from "../../ui/icons";
import { JsonTree } from "../../ui/JsonTree";
import { Empty, Lines, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import classes from "./Events.module.css";
import type { EventFilters } from "./filters";

const route = getRouteApi("/t/$tenant/events");
const TYPING_MS = 350;
const NEWS_MS = 1000;
const LOOK_MS = 5000;

export function EventStream({ filters: { view: _view, ...filters } }: { filters: EventFilters }) {
  const tenant = useTenant();
  const [held, setHeld] = useState(false);
  const list = useInfiniteQuery({ ...storedEventsQuery(tenant.id, filters as Record<string, string>), refetchInterval: held ? false : LOOK_MS });
  const { refetch } = list;
  const pages = list.data?.pages.length ?? 0;
  const news = useRef<ReturnType<typeof setTimeout> | null>(null);

  // A message says that something happened; the store says what. A longer list stays as it is.
  useLiveMessages(() => {
    if (held || pages > 1) return;
    news.current ??= setTimeout(() => {
      news.current = null;
      void refetch();
    }, NEWS_MS);
  });
  useEffect(() => () => clearTimeout(news.current ?? undefined), []);

  const events = list.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <Group gap="sm" mb="md" align="end">
        <Filter name="type" value={filters.type ?? ""} />
        <Filter name="stream_type" value={filters.stream_type ?? ""} />
        {filters.stream_id !== undefined && <Filter name="stream_id" value={filters.stream_id} />}
        <Button size="xs" variant="default" onClick={() => setHeld(!held)} aria-pressed={held} leftSection={held ? <IconPlay width="0.9rem" /> : <IconPause width="0.9rem" />}>
          {held ? t.eventLog.goOn : t.eventLog.hold}
        </Button>
        <span role="status" className={classes["soft"]}>{held ? t.eventLog.held : pages > 1 ? t.eventLog.longList : t.eventLog.growing}</span>
      </Group>
      {list.error !== null && events === undefined && <Trouble error={list.error} onRetry={() => void refetch()} />}
      {events === undefined && list.error === null && <Panel><Lines rows={10} /></Panel>}
      {events?.length === 0 && <Panel><Empty title={t.eventLog.none}><p>{t.eventLog.noneText}</p></Empty></Panel>}
      {events !== undefined && events.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead><tr><th>{t.eventLog.at}</th><th>{t.eventLog.type}</th><th>{t.eventLog.means}</th><th>{t.eventLog.stream}</th><th data-figures>{t.eventLog.position}</th><th><span className="visually-hidden">{t.eventLog.open}</span></th></tr></thead>
            <tbody>{events.map((event) => <Row key={event.id} event={event} onOpen={() => setHeld(true)} />)}</tbody>
          </table>
        </Panel>
      )}
      {list.hasNextPage && <Button mt="sm" size="xs" variant="default" onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>{t.eventLog.older}</Button>}
    </>
  );
}

function Filter({ name, value }: { name: "type" | "stream_type" | "stream_id"; value: string }) {
  const navigate = route.useNavigate();
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed.trim() === value) return undefined;
    const timer = setTimeout(() => {
      const next = typed.trim() === "" ? undefined : typed.trim();
      void navigate({ search: (before: EventFilters) => changed(before, name, next), replace: true });
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, value, name, navigate]);
  return (
    <TextInput
      size="xs" type="search" label={t.eventLog.filter[name]} placeholder={t.eventLog.example[name]} value={typed} maxLength={100} onChange={(event) => setTyped(event.currentTarget.value)}
      style={{ minWidth: name === "stream_id" ? "20rem" : undefined }}
    />
  );
}

function changed(before: EventFilters, name: "type" | "stream_type" | "stream_id", value: string | undefined): EventFilters {
  const after = { ...before };
  delete after[name];
  // A stream is named by its kind and its id: another kind is another stream.
  if (name === "stream_type") delete after.stream_id;
  return value === undefined ? after : { ...after, [name]: value };
}

function Row({ event, onOpen }: { event: StoredEvent; onOpen: () => void }) {
  const tenant = useTenant();
  const [open, setOpen] = useState(false);
  const toggle = () => {
    if (!open) onOpen();
    setOpen(!open);
  };
  const detail = { data: event.data, metadata: event.metadata as JsonObject, id: event.id, version: event.version, occurred_at: event.occurred_at };
  return (
    <Fragment>
      <tr>
        <td data-label={t.eventLog.at}><time dateTime={event.occurred_at} title={dateTime(event.occurred_at)}>{clockTime(event.occurred_at)}</time></td>
        <td data-label={t.eventLog.type}><code>{event.type}</code></td>
        <td data-label={t.eventLog.means}>{sentenceOf(event) === event.type ? "" : sentenceOf(event)}</td>
        <td data-label={t.eventLog.stream}>
          <Link to="/t/$tenant/events" params={{ tenant: tenant.slug }} search={{ stream_type: event.stream.type, stream_id: event.stream.id }} title={event.stream.id}>
            {event.stream.type} {event.stream.id.slice(-8)}
          </Link>
        </td>
        <td data-figures data-label={t.eventLog.position}>{event.position}</td>
        <td data-figures>
          <Button
            size="compact-xs" variant="default" aria-expanded={open} onClick={toggle} aria-label={t.eventLog.openNamed(event.type, event.position)}
            rightSection={<IconRight width="0.8rem" style={{ rotate: open ? "90deg" : "0deg" }} />}
          >
            {t.eventLog.open}
          </Button>
        </td>
      </tr>
      {open && <tr className={classes["detail"]}><td colSpan={6}><JsonTree value={detail} label={event.type} /></td></tr>}
    </Fragment>
  );
}
