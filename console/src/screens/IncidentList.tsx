// The rows of the incident list: virtualised, worked by keyboard, never moving under the reader.
import { Button, Skeleton } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useRef, useState } from "react";
import type { Incident } from "../api/types";
import { count } from "../lib/format";
import type { IncidentFilters } from "../lib/filters";
import { useShortcuts } from "../lib/keyboard";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { LevelMark, SeverityMark, StateMark } from "../ui/marks";
import { Ago } from "../ui/parts";
import type { IncidentListState } from "./useIncidentList";
import classes from "./Incidents.module.css";

const ROW_PX = 44;
const CARD_PX = 68;
const LOAD_AHEAD_ROWS = 25;
/* Where each filtered list was left, so that coming back from an incident finds the same place. */
const leftAt = new Map<string, { offset: number; id: string | null }>();

export function IncidentList({ list, filters }: { list: IncidentListState; filters: IncidentFilters }) {
  const tenant = useTenant();
  const place = `${tenant.id} ${JSON.stringify(filters)}`;
  const scroller = useRef<HTMLDivElement>(null);
  const [currentId, setCurrentId] = useState<string | null>(leftAt.get(place)?.id ?? null);
  const narrow = useMediaQuery("(max-width: 48em)", false, { getInitialValueInEffect: false });
  const incidents = list.incidents ?? [];
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const virtual = useVirtualizer({
    count: incidents.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    getItemKey: (index) => incidents[index]?.id ?? index,
    overscan: 10,
    initialOffset: leftAt.get(place)?.offset ?? 0,
  });
  useEffect(() => virtual.measure(), [virtual, rowPx]);

  const rows = virtual.getVirtualItems();
  const lastShown = rows.at(-1)?.index ?? 0;
  const { loadMore, setReading } = list;
  useEffect(() => {
    if (incidents.length > 0 && lastShown >= incidents.length - LOAD_AHEAD_ROWS) loadMore();
  }, [lastShown, incidents.length, loadMore]);

  const focusRow = useCallback((id: string) => {
    const link = scroller.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`);
    link?.focus({ preventScroll: true });
    return link != null;
  }, []);

  const step = (by: number) => {
    const at = incidents.findIndex((incident) => incident.id === currentId);
    const next = Math.max(0, Math.min(incidents.length - 1, at < 0 ? 0 : at + by));
    const incident = incidents[next];
    if (incident === undefined) return;
    setCurrentId(incident.id);
    virtual.scrollToIndex(next, { align: "auto" });
    if (!focusRow(incident.id)) requestAnimationFrame(() => requestAnimationFrame(() => focusRow(incident.id)));
  };
  useShortcuts({ j: () => step(1), k: () => step(-1) });

  const note = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    const busy = element.scrollTop > rowPx / 2 || element.matches(":hover") || element.contains(document.activeElement);
    setReading(busy);
  }, [rowPx, setReading]);
  useEffect(() => {
    note();
    const current = leftAt.get(place);
    leftAt.set(place, { offset: current?.offset ?? 0, id: currentId });
  }, [note, place, currentId]);

  return (
    <div className={classes["list"]} role="table" aria-label={t.nav.incidents} aria-rowcount={list.hasMore ? -1 : incidents.length + 1}>
      <div className={`${classes["row"]} ${classes["head"]}`} role="row" aria-rowindex={1}>
        {(["severity", "number", "title", "state", "level", "count", "opened", "seen"] as const).map((name) => (
          <span key={name} role="columnheader" className={classes[name]}>{t.incidents.columns[name]}</span>
        ))}
      </div>
      {list.waiting > 0 && (
        <div className={classes["waiting"]}>
          <Button
            size="xs" radius="xl"
            onClick={() => {
              list.showWaiting();
              virtual.scrollToOffset(0);
            }}
          >
            {t.incidents.showNew(list.waiting)}
          </Button>
        </div>
      )}
      <div
        ref={scroller} className={classes["scroller"]} role="presentation"
        onMouseEnter={note} onMouseLeave={() => setReading((scroller.current?.scrollTop ?? 0) > rowPx / 2)}
        onFocus={note} onBlur={() => requestAnimationFrame(note)}
        onScroll={(event) => {
          leftAt.set(place, { offset: event.currentTarget.scrollTop, id: currentId });
          note();
        }}
      >
        {list.incidents === undefined ? (
          <SkeletonRows narrow={narrow} />
        ) : (
          <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
            {rows.map((row) => {
              const incident = incidents[row.index];
              return incident === undefined ? null : (
                <Row
                  key={row.key} incident={incident} index={row.index} top={row.start} slug={tenant.slug}
                  current={incident.id === currentId} onCurrent={setCurrentId}
                />
              );
            })}
          </div>
        )}
        {list.loadingMore && <p className={classes["more"]} role="status">{t.incidents.loadingMore}</p>}
        {list.incidents !== undefined && !list.hasMore && incidents.length > 20 && (
          <p className={classes["more"]}>{t.incidents.end(count(incidents.length))}</p>
        )}
      </div>
    </div>
  );
}

interface RowProps {
  incident: Incident;
  index: number;
  top: number;
  slug: string;
  current: boolean;
  onCurrent: (id: string) => void;
}

const Row = memo(function Row({ incident, index, top, slug, current, onCurrent }: RowProps) {
  return (
    <div className={classes["row"]} role="row" aria-rowindex={index + 2} data-current={current || undefined} style={{ transform: `translateY(${top}px)` }}>
      <span role="cell" className={classes["severity"]}><SeverityMark severity={incident.severity} /></span>
      <span role="cell" className={classes["number"]}>#{incident.number}</span>
      <span role="cell" className={classes["title"]}>
        <Link
          to="/t/$tenant/incidents/$incidentId" params={{ tenant: slug, incidentId: incident.id }} data-id={incident.id}
          className={classes["link"]} onFocus={() => onCurrent(incident.id)} preload={false}
        >
          {incident.title}
        </Link>
        <span className={classes["where"]}>{incident.host ?? incident.site ?? ""}</span>
      </span>
      <span role="cell" className={classes["state"]}><StateMark state={incident.state} /></span>
      <span role="cell" className={classes["level"]}><LevelMark level={incident.level} /></span>
      <span role="cell" className={classes["count"]} title={t.incidents.occurrences(incident.occurrences)}>
        {incident.occurrences > 1 ? `×${count(incident.occurrences)}` : ""}
      </span>
      <span role="cell" className={classes["opened"]}><Ago at={incident.opened_at} /></span>
      <span role="cell" className={classes["seen"]}><Ago at={incident.last_seen_at} /></span>
    </div>
  );
});

function SkeletonRows({ narrow }: { narrow: boolean }) {
  return (
    <div role="status" aria-label={t.common.loading}>
      {Array.from({ length: 14 }, (_, row) => (
        <div key={row} className={classes["skeleton"]} style={{ height: narrow ? CARD_PX : ROW_PX }}>
          <Skeleton height={14} width="7%" />
          <Skeleton height={14} width={`${34 + ((row * 13) % 28)}%`} />
          <Skeleton height={14} width="9%" />
        </div>
      ))}
    </div>
  );
}
