// The event store as operators read it: the stream as it grows, events that nobody could handle, and how far readers are.
import { Tabs } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { t } from "../../texts";
import { PageHead } from "../../ui/parts";
import { DeadLetters } from "./DeadLetters";
import { EventStream } from "./EventStream";
import { viewOf, VIEWS } from "./filters";
import { Readers } from "./Readers";

const route = getRouteApi("/t/$tenant/events");

export function Events() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const view = viewOf(filters);
  return (
    <>
      <title>{t.pageTitle(t.nav.events)}</title>
      <PageHead title={t.nav.events} />
      <Tabs value={view} onChange={(next) => void navigate({ search: next === "stream" || next === null ? {} : { view: next } })} keepMounted={false}>
        <Tabs.List mb="md">{VIEWS.map((one) => <Tabs.Tab key={one} value={one}>{t.eventLog.view[one]}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="stream"><EventStream filters={filters} /></Tabs.Panel>
        <Tabs.Panel value="dead-letters"><DeadLetters /></Tabs.Panel>
        <Tabs.Panel value="readers"><Readers /></Tabs.Panel>
      </Tabs>
    </>
  );
}
