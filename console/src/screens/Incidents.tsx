// The list of incidents: filters in the address, a virtualised list that stays still while it is live, exports.
import { Button, Menu } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import { download } from "../api/client";
import { apiQuery, isFiltered, readFilters, type IncidentFilters } from "../lib/filters";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconDownload } from "../ui/icons";
import { Empty, PageHead, Trouble } from "../ui/parts";
import { FirstSteps } from "./FirstSteps";
import { IncidentFiltersBar } from "./IncidentFiltersBar";
import { IncidentList } from "./IncidentList";
import { useIncidentList } from "./useIncidentList";
import classes from "./Incidents.module.css";

const EXPORTS = ["csv", "json"] as const;

export function Incidents() {
  const filters = useSearch({ from: "/t/$tenant/incidents" });
  const navigate = useNavigate({ from: "/t/$tenant/incidents" });
  const list = useIncidentList(filters);
  const setFilters = useCallback(
    // Read back, so that the same filters are always the same address.
    (next: IncidentFilters) => void navigate({ search: readFilters({ ...next }), replace: true }),
    [navigate],
  );
  const loadedNone = list.incidents !== undefined && list.incidents.length === 0;
  return (
    <div className={classes["page"]}>
      <title>{t.pageTitle(t.nav.incidents)}</title>
      <PageHead title={t.nav.incidents}>
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
      {!loadedNone && (list.error === null || list.incidents !== undefined) && <IncidentList list={list} filters={filters} />}
    </div>
  );
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
