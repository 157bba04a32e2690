// Storms: much of one kind at once that became one incident; which there were, what each stands for, how fast it came.
import { Button, Modal, NativeSelect, TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { stormsQuery, type Storm } from "../../api/mutes";
import { momentOf } from "../../lib/addressFilters";
import { count } from "../../lib/format";
import { useAddressText } from "../../lib/search";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { StateMark } from "../../ui/marks";
import { Ago, Command, Empty, PageHead } from "../../ui/parts";
import { Storm as InStorm } from "./Storm";

const STATES = ["going_on", "over"] as const;

export function Storms() {
  const tenant = useTenant();
  const [wanted, setWanted] = useAddressText("q");
  const [state, setState] = useAddressText("state");
  const [from, setFrom] = useAddressText("from");
  const [to, setTo] = useAddressText("to");
  const [shown, setShown] = useState<Storm | null>(null);
  const since = momentOf(from);
  // The last day counts whole.
  const until = momentOf(to, 1);
  const filters: Record<string, string> = {
    ...(wanted === "" ? {} : { q: wanted }), ...(state === "" ? {} : { state }),
    ...(since === undefined ? {} : { opened_after: since }), ...(until === undefined ? {} : { opened_before: until }),
  };
  const list = useInfiniteQuery(stormsQuery(tenant.id, filters));
  return (
    <>
      <title>{t.pageTitle(t.storms.title)}</title>
      <PageHead title={t.storms.title} />
      <p style={{ maxWidth: "48rem", margin: "0 0 0.8rem" }}>{t.storms.lead}</p>
      <search style={{ display: "flex", gap: "0.6rem", flexWrap: "wrap", alignItems: "flex-end", marginBottom: "0.8rem" }}>
        <TextInput type="search" size="xs" label={t.storms.find} value={wanted} maxLength={120} leftSection={<IconSearch width="0.9rem" />} onChange={(event) => setWanted(event.currentTarget.value)} />
        <NativeSelect size="xs" label={t.storms.state} value={state} onChange={(event) => setState(event.currentTarget.value)} data={[{ value: "", label: t.storms.anyState }, ...STATES.map((one) => ({ value: one, label: t.storms.states[one] }))]} />
        <TextInput type="date" size="xs" label={t.storms.from} value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
        <TextInput type="date" size="xs" label={t.storms.to} value={to} onChange={(event) => setTo(event.currentTarget.value)} />
      </search>
      <div style={{ display: "flex", flexDirection: "column", gap: "1rem" }}>
        <Listing
          list={list}
          empty={Object.keys(filters).length > 0 ? <Empty title={t.storms.noneFound} /> : <NoStorm />}
          columns={[t.storms.incident, t.storms.state, t.storms.what, t.storms.foldedIn, t.storms.exceptions, t.storms.opened, t.why.last, unseen(t.common.actions)]}
          row={(storm) => (
            <>
              <td><Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: storm.id }}>#{storm.number} {storm.title}</Link></td>
              <td data-label={t.storms.state}><StateMark state={storm.state} /></td>
              <td data-label={t.storms.what}><code>{storm.check_type}</code> {storm.site}</td>
              <td data-label={t.storms.foldedIn}>{t.storms.folded(storm.members, storm.firing)}</td>
              <td data-label={t.storms.exceptions} data-figures>{count(storm.occurrences)}</td>
              <td data-label={t.storms.opened}><Ago at={storm.opened_at} /></td>
              <td data-label={t.why.last}><Ago at={storm.last_at} /></td>
              <td data-figures><Button size="compact-xs" variant="default" aria-label={t.storms.showNamed(storm.number)} onClick={() => setShown(storm)}>{t.storms.show}</Button></td>
            </>
          )}
        />
      </div>
      {shown !== null && (
        <Modal opened size="xl" onClose={() => setShown(null)} title={t.storms.inIt(shown.number)} closeButtonProps={{ "aria-label": t.common.close }}>
          <div style={{ display: "flex", flexDirection: "column", gap: "0.8rem" }}>
            <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: tenant.slug, incidentId: shown.id }}>{t.storms.openIncident}</Link>
            <InStorm incidentId={shown.id} />
          </div>
        </Modal>
      )}
    </>
  );
}

function NoStorm() {
  const tenant = useTenant();
  const mayRead = useMay("packs:read");
  return (
    <Empty title={t.storms.none}>
      <p>{t.storms.noneText}</p>
      <Command>{t.storms.example}</Command>
      {mayRead && <p><Link to="/t/$tenant/policy" params={{ tenant: tenant.slug }}>{t.storms.policy}</Link></p>}
    </Empty>
  );
}
