// The queue of plans that wait for a person, decided by pointer or by keyboard, and those that were decided.
import { Select, Stack } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Button } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { approvalPagesQuery } from "../api/queries";
import type { Approval } from "../api/types";
import { words } from "../lib/format";
import { useShortcuts } from "../lib/keyboard";
import { useAddressText } from "../lib/search";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { SeverityMark, Tag } from "../ui/marks";
import { Ago, Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import { ApprovalButtons, Countdown, PlanFacts, type Verb } from "./ApprovalCard";
import classes from "./IncidentPage.module.css";
import authoring from "../ui/authoring.module.css";

const STATES = ["pending", "approved", "rejected", "expired", "withdrawn", "all"];

export function Approvals() {
  const tenant = useTenant();
  const navigate = useNavigate();
  const [state, setState] = useAddressText("state", "pending");
  const [chosen, setChosen] = useAddressText("id");
  const [asking, setAsking] = useState<Verb | null>(null);
  // A link to one approval shows it whatever has become of it.
  const wanted = state === "all" || chosen !== "" ? {} : { state };
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(approvalPagesQuery(tenant.id, STATES.includes(state) ? wanted : {}));
  const all = data?.pages.flatMap((page) => page.items);
  const items = all?.filter((one) => state === "all" || one.state === state || one.id === chosen);
  const here = items?.findIndex((one) => one.id === chosen) ?? -1;
  const move = (by: number) => () => {
    const next = items?.[Math.min(Math.max(0, here + by), items.length - 1)] ?? items?.[0];
    if (next !== undefined) setChosen(next.id);
  };
  const decide = (verb: Verb) => () => {
    const one = items?.[here] ?? items?.[0];
    if (one?.state !== "pending" || !one.may_decide) return;
    setChosen(one.id);
    setAsking(verb);
  };
  useShortcuts({
    j: move(1),
    k: move(-1),
    a: decide("approve"),
    x: decide("reject"),
    Enter: () => {
      const one = items?.[here];
      if (one !== undefined) void navigate({ to: "/t/$tenant/incidents/$incidentId", params: { tenant: tenant.slug, incidentId: one.incident_id } });
    },
  });
  return (
    <>
      <title>{t.pageTitle(t.nav.approvals)}</title>
      <PageHead title={t.nav.approvals}>
        <Select
          size="xs" w="9rem" aria-label={t.approvals.show} allowDeselect={false} value={state} onChange={(value) => setState(value ?? "")}
          data={STATES.map((value) => ({ value, label: t.approvalQueue.states[value] ?? value }))}
        />
      </PageHead>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={5} /></Panel>}
      {items?.length === 0 && (
        <Panel>
          <Empty title={state === "pending" ? t.approvals.none : t.approvalQueue.noneIn}><p>{state === "pending" ? t.approvals.noneText : t.approvalQueue.noneInText}</p></Empty>
        </Panel>
      )}
      {items !== undefined && items.some((one) => one.state === "pending") && <p className={authoring["soft"]}>{t.approvalQueue.keys}</p>}
      <Stack gap="md">
        {items?.map((approval) => (
          <Card
            key={approval.id} approval={approval} slug={tenant.slug} selected={approval.id === chosen}
            asking={approval.id === chosen ? asking : null} onAsk={(verb) => { setChosen(approval.id); setAsking(verb); }}
          />
        ))}
      </Stack>
      {hasNextPage && <Button mt="sm" size="xs" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>{t.common.more}</Button>}
    </>
  );
}

interface CardProps {
  approval: Approval;
  slug: string;
  selected: boolean;
  asking: Verb | null;
  onAsk: (verb: Verb | null) => void;
}

function Card({ approval, slug, selected, asking, onAsk }: CardProps) {
  const open = approval.state === "pending";
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (selected) place.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  return (
    <div ref={place} aria-current={selected ? "true" : undefined}>
      <Panel
        className={selected ? authoring["selected"] : undefined}
        title={
          <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: slug, incidentId: approval.incident_id }}>
            #{approval.incident_number} {approval.incident_title}
          </Link>
        }
        aside={
          <span className={classes["marks"]}>
            <SeverityMark severity={approval.severity} />
            {open && <Countdown until={approval.expires_at} />}
            <Tag tone={open ? "waiting" : approval.state === "approved" ? "good" : "quiet"}>{words(approval.state)}</Tag>
          </span>
        }
      >
        <PlanFacts approval={approval} />
        {open ? (
          <ApprovalButtons approval={approval} asking={asking} onAsk={onAsk} />
        ) : (
          <p className={classes["note"]}>
            {t.approvals.decided(approval.decided_by ?? "–", approval.decision_reason ?? "")} <Ago at={approval.decided_at} />
          </p>
        )}
      </Panel>
    </div>
  );
}
