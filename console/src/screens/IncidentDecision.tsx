// Why this rule: the conditions with what was found, and what the gate said before anything was done.
import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { request } from "../api/client";
import type { IncidentDetail, Json, JsonObject, StoredEvent } from "../api/types";
import { asList, asObject, asText, gateOf } from "../lib/story";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconCheck, IconCross } from "../ui/icons";
import { LevelMark, Tag } from "../ui/marks";
import { Hash, JsonView, Trouble } from "../ui/parts";
import classes from "./IncidentPage.module.css";

export function IncidentDecision({ incident, events }: { incident: IncidentDetail; events: StoredEvent[] }) {
  const decision = incident.decision;
  const mayExplain = useMay("rules:read");
  return (
    <>
      {decision === null ? <NoDecision incident={incident} events={events} /> : <Decision decision={decision} />}
      <Gate events={events} />
      {mayExplain && <Compare incident={incident} />}
    </>
  );
}

function NoDecision({ incident, events }: { incident: IncidentDetail; events: StoredEvent[] }) {
  const escalated = events.findLast((event) => event.type === "incident.escalated");
  const reason = asText(escalated?.data["reason"]);
  if (incident.state === "escalated" || incident.level === "L3") {
    return <p className={classes["note"]}>{reason ?? t.incident.noRule}</p>;
  }
  return <p className={classes["note"]}>{t.incident.notDecided}</p>;
}

function Decision({ decision }: { decision: JsonObject }) {
  const explanation = decision["explanation"];
  const conditions = conditionsOf(explanation);
  const reason = asText(explanation) ?? asText(asObject(explanation)?.["reason"]) ?? asText(decision["reason"]);
  const level = decision["level"];
  const ruleId = asText(decision["rule_id"]);
  const hash = asText(decision["plan_hash"]);
  return (
    <>
      <p className={classes["verdict"]}>
        {(level === "L1" || level === "L2" || level === "L3") && <LevelMark level={level} />}
        {ruleId !== null && <code>{ruleId}</code>}
        {reason !== null && <span>{reason}</span>}
      </p>
      {conditions.length > 0 && <Conditions conditions={conditions} />}
      {hash !== null && <p className={classes["note"]}>{t.incident.planHash} <Hash value={hash} label={t.incident.planHash} /></p>}
      {decision["plan"] !== undefined && (
        <details>
          <summary>{t.incident.plan}</summary>
          <JsonView value={decision["plan"]} label={t.incident.plan} />
        </details>
      )}
    </>
  );
}

function conditionsOf(explanation: Json | undefined): JsonObject[] {
  const list = Array.isArray(explanation) ? explanation : asList(asObject(explanation)?.["conditions"]);
  return list.map((entry) => asObject(entry)).filter((entry) => entry !== null);
}

function Conditions({ conditions }: { conditions: JsonObject[] }) {
  return (
    <table className={classes["conditions"]}>
      <thead>
        <tr><th>{t.incident.condition}</th><th>{t.incident.found}</th><th>{t.incident.result}</th></tr>
      </thead>
      <tbody>
        {conditions.map((condition, index) => {
          const holds = condition["holds"] !== false;
          return (
            <tr key={index}>
              <td>
                <code>{String(condition["field"] ?? "")}</code> {t.operator(String(condition["operator"] ?? ""))}{" "}
                {(condition["expected"] ?? condition["value"]) !== undefined && <code>{brief(condition["expected"] ?? condition["value"])}</code>}
              </td>
              <td>{condition["present"] === false ? t.incident.missing : <code>{brief(condition["actual"])}</code>}</td>
              <td><Holds holds={holds} /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Holds({ holds }: { holds: boolean }) {
  const Icon = holds ? IconCheck : IconCross;
  return (
    <span className={classes["holds"]} data-holds={holds}>
      <Icon width="0.85rem" height="0.85rem" strokeWidth={2.2} />
      {holds ? t.incident.holds : t.incident.holdsNot}
    </span>
  );
}

function brief(value: Json | undefined): string {
  if (value === undefined) return "–";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function Gate({ events }: { events: StoredEvent[] }) {
  const found = gateOf(events);
  if (found === null) return null;
  const { event, gate } = found;
  const verdict = asText(gate?.["decision"]) ?? asText(gate?.["verdict"]) ?? asText(event.data["verdict"]);
  const reasons = asList(gate?.["reasons"] ?? event.data["reasons"]).map((reason) => asText(reason) ?? asText(asObject(reason)?.["detail"]) ?? JSON.stringify(reason));
  const autonomy = asText(event.data["autonomy"]);
  const by = event.metadata.actor;
  return (
    <div className={classes["gate"]}>
      <h3>{t.incident.gate}</h3>
      <p className={classes["verdict"]}>
        <Tag tone={event.type === "plan.approved" ? "good" : event.type === "plan.rejected" ? "person" : "waiting"}>{t.incident.gateWord(event.type)}</Tag>
        {verdict !== null && <span>{t.incident.gateVerdict(verdict)}</span>}
        {autonomy !== null && <span>{t.incident.autonomy(autonomy)}</span>}
        {by !== undefined && <span className={classes["stepTool"]}>{t.incident.by(by)}</span>}
      </p>
      {reasons.length > 0 && <ul>{reasons.map((reason) => <li key={reason}>{reason}</li>)}</ul>}
      {asText(event.data["reason"]) !== null && <p>{asText(event.data["reason"])}</p>}
    </div>
  );
}

/* The rules as they are now, not as they were: it answers "what would happen today". */
function Compare({ incident }: { incident: IncidentDetail }) {
  const tenant = useTenant();
  const explain = useMutation({
    mutationFn: () => request<JsonObject>("rules/explain", { method: "POST", tenantId: tenant.id, body: { incident: factsOf(incident) } }),
  });
  const entries = asList(explain.data?.["items"] ?? explain.data?.["rules"] ?? explain.data?.["explanations"])
    .map((entry) => asObject(entry)).filter((entry) => entry !== null);
  return (
    <div className={classes["gate"]}>
      <Button size="xs" variant="default" onClick={() => explain.mutate()} loading={explain.isPending}>{t.incident.compare}</Button>
      {explain.error !== null && <Trouble error={explain.error} />}
      {explain.isSuccess && entries.length === 0 && <p className={classes["note"]}>{t.incident.noCandidates}</p>}
      {entries.length > 0 && (
        <ol className={classes["steps"]}>
          {entries.map((entry) => (
            <li key={String(entry["rule_id"])} className={classes["step"]}>
              <details open={entry["winner"] === true}>
                <summary>
                  <span className={classes["stepName"]}><code>{String(entry["rule_id"])}</code></span>
                  <span className={classes["stepTool"]}>{String(entry["reason"] ?? "")}</span>
                  {entry["winner"] === true && <Tag tone="good">{t.incident.wins}</Tag>}
                </summary>
                <div className={classes["io"]}><div className={classes["whole"]}><Conditions conditions={conditionsOf(entry["conditions"])} /></div></div>
              </details>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

function factsOf(incident: IncidentDetail): JsonObject {
  const { id, number, title, severity, check_type, host, site, platform, source, summary, labels, details, fingerprint, pack_id, occurrences } = incident;
  return { id, number, title, severity, check_type, host, site, platform, source, summary, labels, details, fingerprint, pack_id, occurrences };
}
