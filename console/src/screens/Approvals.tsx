// Plans that wait for a person, and those that were decided.
import { SegmentedControl, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { approvalsQuery } from "../api/queries";
import type { Approval } from "../api/types";
import { words } from "../lib/format";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { SeverityMark, Tag } from "../ui/marks";
import { Ago, Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import { ApprovalButtons, PlanFacts } from "./ApprovalCard";
import classes from "./IncidentPage.module.css";

export function Approvals() {
  const tenant = useTenant();
  const [view, setView] = useState<"pending" | "all">("pending");
  const { data, error, refetch } = useQuery(approvalsQuery(tenant.id, view === "pending" ? { state: "pending" } : {}));
  return (
    <>
      <title>{t.pageTitle(t.nav.approvals)}</title>
      <PageHead title={t.nav.approvals}>
        <SegmentedControl
          size="xs" value={view} onChange={(value) => setView(value === "all" ? "all" : "pending")} aria-label={t.approvals.show}
          data={[{ value: "pending", label: t.approvals.pending }, { value: "all", label: t.approvals.all }]}
        />
      </PageHead>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={5} /></Panel>}
      {data?.items.length === 0 && (
        <Panel><Empty title={t.approvals.none}><p>{t.approvals.noneText}</p></Empty></Panel>
      )}
      <Stack gap="md">
        {data?.items.map((approval) => <Card key={approval.id} approval={approval} slug={tenant.slug} />)}
      </Stack>
    </>
  );
}

function Card({ approval, slug }: { approval: Approval; slug: string }) {
  const open = approval.state === "pending";
  return (
    <Panel
      title={
        <Link to="/t/$tenant/incidents/$incidentId" params={{ tenant: slug, incidentId: approval.incident_id }}>
          #{approval.incident_number} {approval.incident_title}
        </Link>
      }
      aside={<span className={classes["marks"]}><SeverityMark severity={approval.severity} /><Tag tone={open ? "waiting" : approval.state === "approved" ? "good" : "quiet"}>{words(approval.state)}</Tag></span>}
    >
      <PlanFacts approval={approval} />
      {open ? (
        <ApprovalButtons approval={approval} />
      ) : (
        <p className={classes["note"]}>
          {t.approvals.decided(approval.decided_by ?? "–", approval.decision_reason ?? "")} <Ago at={approval.decided_at} />
        </p>
      )}
    </Panel>
  );
}
