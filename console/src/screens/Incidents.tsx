// The list of incidents: filters in the address, a virtualised list that stays still while it is live, exports.
import { Button, Menu } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { download } from "../api/client";
import { countQuery, viewsQuery } from "../api/incidentWork";
import { apiQuery, isFiltered, readFilters, type IncidentFilters } from "../lib/filters";
import { count } from "../lib/format";
import { isEmpty, NOTHING, type Selection } from "../lib/selection";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconDownload } from "../ui/icons";
import { Empty, PageHead, Trouble } from "../ui/parts";
import { FirstSteps } from "./FirstSteps";
import { IncidentFiltersBar } from "./IncidentFiltersBar";
import { IncidentList } from "./IncidentList";
import { BulkBar, BulkDialogs, BulkProgress, type Asked, type Target } from "./incidents/BulkBar";
import { filtersOf } from "./incidents/SavedViews";
import { useCommandMany } from "./incidents/useCommandMany";
import { useIncidentList, type IncidentListState } from "./useIncidentList";
import classes from "./Incidents.module.css";

/* More than so many are named by the filters, not one by one. */
const MOST_BY_ID = 500;
const EXPORTS = ["csv", "json"] as const;

/* Whose default view was opened already: coming back to the list does not open it again. */
const openedDefault = new Set<string>();

export function Incidents() {
  const tenant = useTenant();
  const filters = useSearch({ from: "/t/$tenant/incidents" });
  const navigate = useNavigate({ from: "/t/$tenant/incidents" });
  const list = useIncidentList(filters);
  const setFilters = useCallback(
    // Read back, so that the same filters are always the same address.
    (next: IncidentFilters) => void navigate({ search: readFilters({ ...next }), replace: true }),
    [navigate],
  );
  const views = useQuery(viewsQuery(tenant.id)).data;
  const cameWithNone = useRef(Object.keys(filters).length === 0);
  useEffect(() => {
    if (views === undefined || openedDefault.has(tenant.id)) return;
    openedDefault.add(tenant.id);
    const first = views.find((view) => view.is_default);
    if (first !== undefined && cameWithNone.current) setFilters(filtersOf(first));
  }, [views, tenant.id, setFilters]);
  const loadedNone = list.incidents !== undefined && list.incidents.length === 0;
  return (
    <div className={classes["page"]}>
      <title>{t.pageTitle(t.nav.incidents)}</title>
      <PageHead title={t.nav.incidents}>
        <Counted filters={filters} />
        <Export filters={filters} />
      </PageHead>
      <IncidentFiltersBar filters={filters} onChange={setFilters} />
      {list.error !== null && <Trouble error={list.error} onRetry={list.reload} />}
      {loadedNone && !isFiltered(filters) && <FirstSteps />}
      {loadedNone && isFiltered(filters) && (
        <Empty title={t.incidents.noneFound}>
          <p>{t.incidents.noneFoundText}</p>
          <Button variant="default" onClick={() => setFilters({})}>{t.incidents.clear}</Button>
        </Empty>
      )}
      {!loadedNone && (list.error === null || list.incidents !== undefined) && <WorkedList list={list} filters={filters} />}
    </div>
  );
}

/** The list with what is chosen in it, and what is done to that. */
function WorkedList({ list, filters }: { list: IncidentListState; filters: IncidentFilters }) {
  const tenant = useTenant();
  const mayWork = useMay("incidents:write");
  const command = useCommandMany();
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const [asked, setAsked] = useState<{ action: Asked; only: string | null } | null>(null);
  const counted = useQuery(countQuery(tenant.id, filters)).data;
  const address = apiQuery(filters).toString();
  useEffect(() => setSelection(NOTHING), [address]);
  const shown = useMemo(() => list.incidents?.map((incident) => incident.id) ?? [], [list.incidents]);

  const target: Target = asked?.only != null
    ? { ids: [asked.only], count: 1, more: false }
    : selection.all
      ? { filter: address, count: counted?.count ?? 0, more: counted?.more ?? false }
      : { ids: [...selection.ids], count: selection.ids.size, more: false };
  const ask = (action: Asked, current: string | null) => {
    if (!mayWork || (isEmpty(selection) && current === null)) return;
    command.reset();
    setAsked({ action, only: isEmpty(selection) ? current : null });
  };
  const total = counted === undefined ? "" : count(counted.count);
  const allLoadedChosen = !selection.all && selection.ids.size >= shown.length && shown.length > 0;
  return (
    <>
      {!isEmpty(selection) && (
        <BulkBar
          target={target} tooMany={selection.all ? (counted?.more ?? false) : selection.ids.size > MOST_BY_ID}
          chosen={selection.all ? t.work.chosenAll(total, counted?.more ?? false) : t.work.chosen(selection.ids.size)}
          chooseAll={
            counted !== undefined && !selection.all && (allLoadedChosen || selection.ids.size > MOST_BY_ID) && counted.count > shown.length
              ? { label: t.work.chooseAll(total, counted.more), run: () => setSelection({ ...selection, all: true }) }
              : null
          }
          onAsk={(action) => ask(action, null)} onClear={() => setSelection(NOTHING)}
        />
      )}
      <BulkProgress command={command} />
      <IncidentList
        list={list} filters={filters} selection={mayWork ? selection : null}
        onSelection={setSelection} onAsk={ask}
      />
      <BulkDialogs asked={asked?.action ?? null} target={target} command={command} onClose={() => setAsked(null)} onDone={() => setSelection(NOTHING)} />
    </>
  );
}

function Counted({ filters }: { filters: IncidentFilters }) {
  const tenant = useTenant();
  const { data } = useQuery(countQuery(tenant.id, filters));
  return <span className={classes["counted"]} role="status">{data === undefined ? "" : t.work.counted(count(data.count), data.more)}</span>;
}

function Export({ filters }: { filters: IncidentFilters }) {
  const tenant = useTenant();
  const run = useMutation({
    mutationFn: (format: (typeof EXPORTS)[number]) => {
      const query = apiQuery(filters);
      query.set("format", format);
      return download("incidents/export", `incidents.${format}`, { tenantId: tenant.id, query });
    },
  });
  return (
    <>
      {run.error !== null && <Trouble error={run.error} />}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" size="xs" leftSection={<IconDownload width="0.95rem" />} loading={run.isPending}>{t.incidents.export}</Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{t.incidents.exportHelp}</Menu.Label>
          {EXPORTS.map((format) => (
            <Menu.Item key={format} onClick={() => run.mutate(format)}>{t.incidents.exportAs[format]}</Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
