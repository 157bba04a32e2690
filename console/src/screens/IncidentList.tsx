// The rows of the incident list: windowed, worked by keyboard, chosen one by one or by range, never moving under the reader.
import { Button, Skeleton } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { Link, useNavigate } from "@tanstack/react-router";
import { memo, useCallback, useEffect, useMemo, useRef, useState, type MouseEvent } from "react";
import type { Incident } from "../api/types";
import { count } from "../lib/format";
import type { IncidentFilters } from "../lib/filters";
import { useFixedRows } from "../lib/fixedRows";
import { useShortcuts } from "../lib/keyboard";
import { everyLoaded, extended, NOTHING, toggled, type Selection } from "../lib/selection";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { LevelMark, SeverityMark, StateMark } from "../ui/marks";
import { Ago } from "../ui/parts";
import type { Asked } from "./incidents/BulkBar";
import { usePeople } from "./incidents/people";
import type { IncidentListState } from "./useIncidentList";
import classes from "./Incidents.module.css";

const ROW_PX = 44;
const CARD_PX = 68;
/* Some screens ahead, so that whoever scrolls on does not wait for a page; whoever does not scroll asks for one page. */
const LOAD_AHEAD_ROWS = 150;
const COLUMNS = ["severity", "number", "title", "state", "level", "assignee", "count", "opened", "seen"] as const;
/* Where each filtered list was left, so that coming back from an incident finds the same place and row. */
const leftAt = new Map<string, { offset: number; id: string | null }>();

const NONE: Incident[] = [];

interface IncidentListProps {
  list: IncidentListState;
  filters: IncidentFilters;
  /** Null where nothing may be done to incidents, so that there is nothing to choose them for. */
  selection: Selection | null;
  onSelection: (selection: Selection) => void;
  /** Something is to be done to what is chosen, or else to this one. */
  onAsk: (action: Asked, id: string | null) => void;
}

export function IncidentList({ list, filters, selection, onSelection, onAsk }: IncidentListProps) {
  const tenant = useTenant();
  const navigate = useNavigate();
  const people = usePeople();
  const place = `${tenant.id} ${JSON.stringify(filters)}`;
  const scroller = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState({ place, id: leftAt.get(place)?.id ?? null });
  const setCurrentId = useCallback((id: string) => setCurrent((before) => ({ ...before, id })), []);
  // Other filters keep the row that one is at, unless they were left at another.
  if (current.place !== place) setCurrent({ place, id: leftAt.get(place)?.id ?? current.id });
  const narrow = useMediaQuery("(max-width: 48em)", false, { getInitialValueInEffect: false });
  const incidents = list.incidents ?? NONE;
  // A row that the filters hide is no row that anything may be done to.
  const currentId = useMemo(() => (incidents.some(({ id }) => id === current.id) ? current.id : null), [incidents, current.id]);
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const rows = useFixedRows(scroller, incidents.length, rowPx, leftAt.get(place)?.offset ?? 0);

  const { loadMore, setReading } = list;
  useEffect(() => {
    if (incidents.length > 0 && rows.end >= incidents.length - (rows.scrolled ? LOAD_AHEAD_ROWS : 0)) loadMore();
  }, [rows.end, rows.scrolled, incidents.length, loadMore]);

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
    rows.scrollToRow(next);
    if (!focusRow(incident.id)) requestAnimationFrame(() => requestAnimationFrame(() => focusRow(incident.id)));
  };
  const chosen = useRef(selection);
  const shown = useRef(incidents);
  useEffect(() => {
    chosen.current = selection;
    shown.current = incidents;
  });
  const choose = useCallback(
    (id: string, range: boolean) => {
      if (chosen.current === null) return;
      onSelection(range ? extended(chosen.current, id, shown.current.map((incident) => incident.id)) : toggled(chosen.current, id));
    },
    [onSelection],
  );
  useShortcuts({
    j: () => step(1),
    k: () => step(-1),
    ...(selection === null
      ? {}
      : {
          x: () => currentId !== null && choose(currentId, false),
          X: () => currentId !== null && choose(currentId, true),
          e: () => onAsk("resolve", currentId),
          E: () => onAsk("close", currentId),
          a: () => onAsk("assign", currentId),
          Escape: () => onSelection(NOTHING),
        }),
    Enter: () => {
      if (currentId !== null) void navigate({ to: "/t/$tenant/incidents/$incidentId", params: { tenant: tenant.slug, incidentId: currentId } });
    },
  });

  const note = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    const busy = element.scrollTop > rowPx / 2 || element.matches(":hover") || element.contains(document.activeElement);
    setReading(busy);
  }, [rowPx, setReading]);
  useEffect(() => {
    note();
    leftAt.set(place, { offset: leftAt.get(place)?.offset ?? 0, id: current.id });
  }, [note, place, current.id]);

  const allChosen = selection !== null && incidents.length > 0 && (selection.all || selection.ids.size >= incidents.length);
  return (
    <div
      className={classes["list"]} role="table" aria-label={t.nav.incidents} aria-rowcount={list.hasMore ? -1 : incidents.length + 1}
      data-choosable={selection !== null || undefined}
    >
      <div className={`${classes["row"]} ${classes["head"]}`} role="row" aria-rowindex={1}>
        {selection !== null && (
          <span role="columnheader" className={classes["choose"]}>
            <input
              type="checkbox" aria-label={t.work.chooseLoaded} checked={allChosen}
              onChange={() => onSelection(allChosen ? NOTHING : everyLoaded(incidents.map((incident) => incident.id)))}
            />
          </span>
        )}
        {COLUMNS.map((name) => (
          <span key={name} role="columnheader" className={classes[name]}>{name === "assignee" ? t.work.column : t.incidents.columns[name]}</span>
        ))}
      </div>
      {list.waiting > 0 && (
        <div className={classes["waiting"]}>
          <Button
            size="xs" radius="xl"
            onClick={() => {
              list.showWaiting();
              rows.scrollToTop();
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
          leftAt.set(place, { offset: event.currentTarget.scrollTop, id: current.id });
          rows.onScroll();
          note();
        }}
      >
        {list.incidents === undefined ? (
          <SkeletonRows narrow={narrow} />
        ) : (
          <div role="rowgroup" style={{ height: rows.heightPx, position: "relative" }}>
            {incidents.slice(rows.first, rows.end).map((incident, at) => (
              <Row
                key={incident.id} incident={incident} index={rows.first + at} top={(rows.first + at) * rowPx} slug={tenant.slug}
                assignee={incident.assignee === null ? null : people.nameOf(incident.assignee)}
                chosen={selection === null ? null : selection.all || selection.ids.has(incident.id)}
                current={incident.id === currentId} onCurrent={setCurrentId} onChoose={choose}
              />
            ))}
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
  assignee: string | null;
  chosen: boolean | null;
  current: boolean;
  onCurrent: (id: string) => void;
  onChoose: (id: string, range: boolean) => void;
}

const Row = memo(function Row({ incident, index, top, slug, assignee, chosen, current, onCurrent, onChoose }: RowProps) {
  return (
    <div
      className={classes["row"]} role="row" aria-rowindex={index + 2} data-current={current || undefined} data-chosen={chosen === true || undefined}
      style={{ transform: `translateY(${top}px)` }}
    >
      {chosen !== null && (
        <span role="cell" className={classes["choose"]}>
          <input
            type="checkbox" aria-label={t.work.choose(incident.number)} checked={chosen} readOnly tabIndex={-1}
            onClick={(event: MouseEvent) => onChoose(incident.id, event.shiftKey)}
          />
        </span>
      )}
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
      <span role="cell" className={classes["assignee"]}>{assignee ?? ""}</span>
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
