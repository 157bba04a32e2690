// Who is on call now, the schedules behind it, how people are reached, and the addresses for their calendars.
import { Button, Tabs, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { onCallQuery, schedulesQuery, type OnCallNow, type Schedule } from "../../api/escalation";
import { shortDateTime } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Empty, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import { Contacts } from "./Contacts";
import { Feeds } from "./Feeds";
import classes from "./OnCall.module.css";

const TABS = ["schedules", "contacts", "feeds"] as const;
const NAMES = { schedules: t.onCall.schedules, contacts: t.onCall.contacts, feeds: t.onCall.feeds };

export function OnCall() {
  const tenant = useTenant();
  const mayWrite = useMay("escalation:write");
  const [tab, setTab] = useAddressText("tab", "schedules");
  return (
    <>
      <title>{t.pageTitle(t.onCall.title)}</title>
      <PageHead title={t.onCall.title}>
        {mayWrite && (
          <Button
            size="xs" leftSection={<IconPlus width="0.95rem" />}
            renderRoot={(props: object) => <Link to="/t/$tenant/on-call/$scheduleId" params={{ tenant: tenant.slug, scheduleId: "new" }} {...props} />}
          >
            {t.onCall.add}
          </Button>
        )}
      </PageHead>
      <Tabs value={tab} onChange={(next) => setTab(next ?? "")} keepMounted={false}>
        <Tabs.List mb="md">{TABS.map((one) => <Tabs.Tab key={one} value={one}>{NAMES[one]}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="schedules"><Schedules /></Tabs.Panel>
        <Tabs.Panel value="contacts"><Contacts /></Tabs.Panel>
        <Tabs.Panel value="feeds"><Feeds /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Schedules() {
  const tenant = useTenant();
  const [wanted, setWanted] = useAddressText("q");
  const schedules = useQuery(schedulesQuery(tenant.id));
  const now = useQuery(onCallQuery(tenant.id));
  if (schedules.data === undefined) {
    return schedules.error === null ? <Panel><Lines rows={5} /></Panel> : <Trouble error={schedules.error} onRetry={() => void schedules.refetch()} />;
  }
  if (schedules.data.length === 0) return <Panel><Empty title={t.onCall.none}><p>{t.onCall.noneText}</p></Empty></Panel>;
  const shown = schedules.data.filter((one) => one.name.toLowerCase().includes(wanted.trim().toLowerCase()));
  const present = new Map(now.data?.items.map((one) => [one.schedule_id, one]));
  return (
    <div className={classes["stack"]}>
      <TextInput
        type="search" size="xs" maw="20rem" aria-label={t.onCall.find} placeholder={t.onCall.find} value={wanted} maxLength={120} leftSection={<IconSearch width="0.9rem" />}
        onChange={(event) => setWanted(event.currentTarget.value)}
      />
      {shown.length === 0 && <Panel><Empty title={t.onCall.noneFound} /></Panel>}
      {shown.length > 0 && (
        <Panel flush title={t.onCall.now}>
          <table className={tables["table"]}>
            <thead><tr><th>{t.onCall.name}</th><th>{t.onCall.now}</th><th>{t.onCall.zone}</th><th>{t.onCall.gapsTitle}</th></tr></thead>
            <tbody>{shown.map((one) => <Row key={one.id} schedule={one} now={present.get(one.id)} />)}</tbody>
          </table>
        </Panel>
      )}
    </div>
  );
}

function Row({ schedule, now }: { schedule: Schedule; now: OnCallNow | undefined }) {
  const tenant = useTenant();
  return (
    <tr>
      <td><Link to="/t/$tenant/on-call/$scheduleId" params={{ tenant: tenant.slug, scheduleId: schedule.id }}>{schedule.name}</Link></td>
      <td data-label={t.onCall.now}>
        {now === undefined ? "–" : (
          <div>
            {now.person === null ? <Tag tone="person">{t.onCall.nobody}</Tag> : <b>{now.person.name ?? t.onCall.gone}</b>}{" "}
            <span className={tables["soft"]}>{now.until === null ? t.onCall.longer : t.onCall.until(shortDateTime(now.until))}</span>
          </div>
        )}
      </td>
      <td data-label={t.onCall.zone}>{schedule.document.time_zone}</td>
      <td data-label={t.onCall.gapsTitle}>
        {schedule.warnings.length === 0 ? t.onCall.noGaps : <Tag tone="person">{t.onCall.gaps(schedule.warnings.length)}</Tag>}
      </td>
    </tr>
  );
}
