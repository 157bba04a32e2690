// The incidents behind the list: pages by cursor, patched in place by the stream, newcomers held back while somebody reads.
import { useInfiniteQuery, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { incidentsQuery } from "../api/queries";
import type { Incident, LiveMessage, Page } from "../api/types";
import { belongs, type IncidentFilters } from "../lib/filters";
import { incidentOf, useLiveMessages } from "../lib/liveFeed";
import { useTenant } from "../lib/tenant";

type Pages = InfiniteData<Page<Incident>, string | null>;

const JUST_NOW_MS = 60_000;

export interface IncidentListState {
  incidents: Incident[] | undefined;
  error: Error | null;
  hasMore: boolean;
  loadingMore: boolean;
  loadMore: () => void;
  reload: () => void;
  /** How many new incidents wait to be shown. */
  waiting: number;
  showWaiting: () => void;
  /** While true, nothing is put in above what is being read. */
  setReading: (reading: boolean) => void;
}

export function useIncidentList(filters: IncidentFilters): IncidentListState {
  const tenant = useTenant();
  const client = useQueryClient();
  const options = useMemo(() => incidentsQuery(tenant.id, filters), [tenant.id, filters]);
  const query = useInfiniteQuery(options);
  const [waiting, setWaiting] = useState<Incident[]>([]);
  const reading = useRef(false);

  useEffect(() => setWaiting([]), [options]);

  const change = useCallback(
    (update: (pages: Pages) => Pages) => {
      client.setQueryData<Pages>(options.queryKey, (pages) => (pages === undefined ? undefined : update(pages)));
    },
    [client, options],
  );

  useLiveMessages((messages) => {
    const loaded = client.getQueryData<Pages>(options.queryKey);
    if (loaded === undefined) return;
    const latest = latestById(messages);
    if (latest.size === 0) return;
    const { pages, unknown } = patch(loaded, latest);
    const newcomers = arrivals(unknown, loaded, filters);
    // In another order than that of opening, a newcomer has its place wherever the platform says.
    const putIn = newcomers.length > 0 && !reading.current && waiting.length === 0 && filters.sort === undefined;
    if (pages !== loaded || putIn) change(() => (putIn ? prepend(pages, newcomers) : pages));
    if (!putIn) setWaiting((before) => mergeWaiting(before, newcomers, latest));
  });

  const incidents = useMemo(() => query.data?.pages.flatMap((page) => page.items), [query.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage, isFetchNextPageError } = query;
  return {
    incidents,
    error: query.error,
    hasMore: hasNextPage,
    loadingMore: isFetchingNextPage,
    loadMore: useCallback(() => {
      if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage();
    }, [hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage]),
    reload: () => void client.resetQueries({ queryKey: options.queryKey }),
    waiting: waiting.length,
    showWaiting: () => {
      if (filters.sort !== undefined) {
        setWaiting([]);
        void client.resetQueries({ queryKey: options.queryKey });
        return;
      }
      change((pages) => prepend(pages, waiting));
      setWaiting([]);
    },
    setReading: useCallback((now: boolean) => {
      reading.current = now;
    }, []),
  };
}

function latestById(messages: LiveMessage[]): Map<string, Incident> {
  const latest = new Map<string, Incident>();
  for (const message of messages) {
    const incident = incidentOf(message);
    if (incident === null) continue;
    const before = latest.get(incident.id);
    if (before === undefined || isNewer(incident, before)) latest.set(incident.id, incident);
  }
  return latest;
}

/** Replaces the rows that changed, and only the pages that hold them; returns what no page holds. */
export function patch(loaded: Pages, latest: Map<string, Incident>): { pages: Pages; unknown: Incident[] } {
  const unknown = new Map(latest);
  let touched = false;
  const pages = loaded.pages.map((page) => {
    if (!page.items.some((item) => latest.has(item.id))) return page;
    touched = true;
    const items = page.items.map((item) => {
      const update = latest.get(item.id);
      unknown.delete(item.id);
      return update !== undefined && isNewer(update, item) ? { ...item, ...update } : item;
    });
    return { ...page, items };
  });
  return { pages: touched ? { ...loaded, pages } : loaded, unknown: [...unknown.values()] };
}

function isNewer(one: Incident, other: Incident): boolean {
  return (one.version ?? 0) >= (other.version ?? 0);
}

/* Only what is newer than the newest row: anything older has its place further down, where a later page brings it. */
function arrivals(unknown: Incident[], loaded: Pages, filters: IncidentFilters): Incident[] {
  const newest = filters.sort === undefined ? (loaded.pages[0]?.items[0]?.opened_at ?? "") : new Date(Date.now() - JUST_NOW_MS).toISOString();
  return unknown
    .filter((incident) => belongs(incident, filters) === true && incident.opened_at >= newest)
    .sort((a, b) => b.opened_at.localeCompare(a.opened_at));
}

function prepend(pages: Pages, newcomers: Incident[]): Pages {
  const [first, ...rest] = pages.pages;
  if (first === undefined) return pages;
  const known = new Set(first.items.map((item) => item.id));
  const fresh = newcomers.filter((incident) => !known.has(incident.id));
  return { ...pages, pages: [{ ...first, items: [...fresh, ...first.items] }, ...rest] };
}

function mergeWaiting(before: Incident[], newcomers: Incident[], latest: Map<string, Incident>): Incident[] {
  if (newcomers.length === 0 && !before.some((incident) => latest.has(incident.id))) return before;
  const fresh = new Map(newcomers.map((incident) => [incident.id, incident]));
  const kept = before.filter((incident) => !fresh.has(incident.id)).map((incident) => latest.get(incident.id) ?? incident);
  return [...fresh.values(), ...kept];
}
