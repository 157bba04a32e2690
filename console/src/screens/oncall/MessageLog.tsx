// Every message to a person: by what, to whom, each attempt, what it said, and why it was not sent where it was not.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { channelsQuery, deliveriesQuery, DELIVERY_KINDS, DELIVERY_STATES, type Delivery, type DeliveryState } from "../../api/escalation";
import { dateTime, shortDateTime } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconRight } from "../../ui/icons";
import { Tag } from "../../ui/marks";
import { Empty, Facts, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import classes from "./OnCall.module.css";

const route = getRouteApi("/t/$tenant/messages");
export const TONES: Record<DeliveryState, "waiting" | "moving" | "good" | "person" | "quiet"> = { queued: "waiting", sending: "moving", delivered: "good", failed: "person", skipped: "quiet" };
const ID = /^[0-9a-f-]{36}$/i;

export function MessageLog() {
  const tenant = useTenant();
  const filters = route.useSearch();
  const wanted = Object.fromEntries(Object.entries(filters).filter(([name, value]) => value !== undefined && (name !== "incident_id" || ID.test(value))));
  const list = useInfiniteQuery(deliveriesQuery(tenant.id, wanted));
  const items = list.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <title>{t.pageTitle(t.messages.title)}</title>
      <PageHead title={t.messages.title} />
      <Filters />
      {items === undefined && (list.error === null ? <Panel><Lines rows={8} /></Panel> : <Trouble error={list.error} onRetry={() => void list.refetch()} />)}
      {items?.length === 0 && <Panel><Empty title={t.messages.none}><p>{Object.keys(wanted).length === 0 ? t.messages.noneText : t.messages.noneFound}</p></Empty></Panel>}
      {items !== undefined && items.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead>
              <tr>
                <th>{t.messages.when}</th><th>{t.messages.what}</th><th>{t.messages.by}</th><th>{t.messages.to}</th><th>{t.messages.came}</th>
                <th><span className="visually-hidden">{t.messages.more}</span></th>
              </tr>
            </thead>
            <tbody>{items.map((one) => <Row key={one.id} message={one} />)}</tbody>
          </table>
        </Panel>
      )}
      {list.hasNextPage && <Button mt="sm" size="xs" variant="default" onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>{t.common.more}</Button>}
    </>
  );
}

function Filters() {
  const tenant = useTenant();
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const channels = useQuery(channelsQuery(tenant.id)).data ?? [];
  const set = (name: keyof typeof filters) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    void navigate({ search: (before) => ({ ...before, [name]: value === "" ? undefined : value }), replace: true });
  };
  return (
    <search className={classes["filters"]}>
      <NativeSelect
        size="xs" label={t.messages.filterState} value={filters.state ?? ""} onChange={set("state")}
        data={[{ value: "", label: t.messages.anyState }, ...DELIVERY_STATES.map((value) => ({ value, label: t.messages.state[value] }))]}
      />
      <NativeSelect
        size="xs" label={t.messages.filterKind} value={filters.kind ?? ""} onChange={set("kind")}
        data={[{ value: "", label: t.messages.anyKind }, ...DELIVERY_KINDS.map((value) => ({ value, label: t.messages.kind[value] }))]}
      />
      <NativeSelect
        size="xs" label={t.messages.filterChannel} value={filters.channel_id ?? ""} onChange={set("channel_id")}
        data={[{ value: "", label: t.messages.anyChannel }, ...channels.map((one) => ({ value: one.id, label: one.name }))]}
      />
      <TextInput size="xs" label={t.messages.filterIncident} maxLength={36} value={filters.incident_id ?? ""} onChange={set("incident_id")} />
      {Object.keys(filters).length > 0 && <Button size="xs" variant="subtle" onClick={() => void navigate({ search: {}, replace: true })}>{t.incidents.clear}</Button>}
    </search>
  );
}

function Row({ message }: { message: Delivery }) {
  const [open, setOpen] = useState(false);
  const id = `message-${message.id}`;
  const what = t.messages.kind[message.kind];
  return (
    <Fragment>
      <tr>
        <td data-label={t.messages.when}><time dateTime={message.created_at}>{shortDateTime(message.created_at)}</time></td>
        <td data-label={t.messages.what}>{what}</td>
        <td data-label={t.messages.by}>{message.channel ?? t.channels.kinds[message.channel_kind]}</td>
        <td data-label={t.messages.to}>{message.recipient === null ? t.messages.channelItself : (message.person?.name ?? t.onCall.gone)}</td>
        <td><Came message={message} /></td>
        <td data-figures>
          <Button
            size="compact-xs" variant="default" aria-expanded={open} aria-controls={open ? id : undefined} aria-label={`${t.messages.moreOf(`${what}, ${shortDateTime(message.created_at)}`)}`} onClick={() => setOpen(!open)}
            rightSection={<IconRight width="0.8rem" style={{ rotate: open ? "90deg" : "0deg" }} />}
          >
            {t.messages.more}
          </Button>
        </td>
      </tr>
      {open && <tr id={id} className={classes["detail"]}><td colSpan={6}><Detail message={message} /></td></tr>}
    </Fragment>
  );
}

export function Came({ message }: { message: Delivery }) {
  return (
    <div>
      <Tag tone={TONES[message.state]}>{t.messages.state[message.state]}</Tag>{" "}
      {message.attempts > 1 && <span className={tables["soft"]}>{t.messages.attempts(message.attempts)} </span>}
      {message.error}
      {message.state === "queued" && message.attempts > 0 && <span className={tables["soft"]}> {t.messages.nextAt(shortDateTime(message.due_at))}</span>}
    </div>
  );
}

function Detail({ message }: { message: Delivery }) {
  const tenant = useTenant();
  const theirs = Object.entries(message.sent ?? {}).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return (
    <div>
      <p className={classes["soft"]}>{t.messages.said}</p>
      {message.said === null ? <p>{t.messages.notSaid}</p> : <pre className={classes["said"]} tabIndex={0}>{message.said}</pre>}
      {message.history.length > 0 && (
        <>
          <p className={classes["soft"]} style={{ marginTop: "0.8rem" }}>{t.messages.eachAttempt}</p>
          <ol className={classes["tried"]}>
            {message.history.map((one) => (
              <li key={one.at}>
                <time dateTime={one.at}>{dateTime(one.at)}</time>
                <Tag tone={TONES[one.state]}>{t.messages.state[one.state]}</Tag>
                {one.code !== null && <code>{one.code}</code>}
                <span>{one.detail}</span>
              </li>
            ))}
          </ol>
        </>
      )}
      <Facts
        items={[
          ...(theirs.length === 0 ? [] : [[t.messages.theirs, theirs.join(", ")] as [string, string]]),
          ...(message.incident_id === null
            ? []
            : [[t.messages.incident, <Link key="incident" to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: message.incident_id }}>{message.incident_id}</Link>] as [string, React.ReactNode]]),
        ]}
      />
    </div>
  );
}
