// Why this rule: the conditions with what was found, and what policy and trust gate said before anything was done.
import { useQuery } from "@tanstack/react-query";
import { explainQuery } from "../api/queries";
import type { ConditionResult, Explanations, IncidentDetail, Json, JsonObject, RuleExplanation, StoredEvent } from "../api/types";
import { asList, asObject, asText, gateOf } from "../lib/story";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconCheck, IconCross } from "../ui/icons";
import { LevelMark, Tag } from "../ui/marks";
import { Fold, Hash, JsonView, Lines, Trouble } from "../ui/parts";
import { IncidentPlanning } from "./planner/DecisionList";
import classes from "./IncidentPage.module.css";

export function IncidentDecision({ incident, events }: { incident: IncidentDetail; events: StoredEvent[] }) {
  const tenant = useTenant();
  const mayExplain = useMay("rules:read");
  const explained = useQuery({ ...explainQuery(tenant.id, incident), enabled: mayExplain, placeholderData: (before) => before });
  const ruleId = asText(incident.decision?.["rule_id"]) ?? incident.rule_id;
  const own = explained.data?.items.find((item) => item.rule_id === ruleId);
  return (
    <>
      {incident.decision === null ? <NoDecision incident={incident} events={events} conditions={own?.conditions} /> : <Decision decision={incident.decision} conditions={own?.conditions} />}
      {incident.decision !== null && <Gate decision={incident.decision} events={events} />}
      <IncidentPlanning incidentId={incident.id} />
      {mayExplain && <Others data={explained.data} error={explained.error} except={ruleId} />}
    </>
  );
}

interface NoDecisionProps {
  incident: IncidentDetail;
  events: StoredEvent[];
  conditions: ConditionResult[] | undefined;
}

function NoDecision({ incident, events, conditions }: NoDecisionProps) {
  const escalated = events.findLast((event) => event.type === "incident.escalated" || event.type === "incident.suppressed");
  const reason = asText(escalated?.data["detail"]) ?? asText(escalated?.data["reason"]);
  const undecided = incident.level === null && escalated === undefined;
  return (
    <>
      <p className={classes["verdict"]}>
        {incident.level !== null && <LevelMark level={incident.level} />}
        {incident.rule_id !== null && <code>{incident.rule_id}</code>}
        <span>{reason ?? (undecided ? t.incident.notDecided : t.incident.noRule)}</span>
      </p>
      {conditions !== undefined && <Conditions conditions={conditions} note={t.incident.asNow} />}
    </>
  );
}

function Decision({ decision, conditions }: { decision: JsonObject; conditions: ConditionResult[] | undefined }) {
  const level = decision["level"];
  const hash = asText(decision["plan_hash"]);
  return (
    <>
      <p className={classes["verdict"]}>
        {(level === "L1" || level === "L2" || level === "L3") && <LevelMark level={level} />}
        {conditions !== undefined ? <code>{asText(decision["rule_id"])}</code> : <span>{asText(decision["explanation"]) ?? asText(decision["rule_id"])}</span>}
      </p>
      {conditions !== undefined && <Conditions conditions={conditions} note={t.incident.asNow} />}
      {hash !== null && <p className={classes["hashLine"]}>{t.incident.planHash} <Hash value={hash} label={t.incident.planHash} /></p>}
      {decision["plan"] !== undefined && <Fold title={t.incident.plan}><JsonView value={decision["plan"]} label={t.incident.plan} /></Fold>}
    </>
  );
}

function Conditions({ conditions, note }: { conditions: ConditionResult[]; note?: string }) {
  return (
    <table className={classes["conditions"]}>
      <thead>
        <tr><th>{t.incident.condition}{note !== undefined && <span className={classes["stepTool"]}> {note}</span>}</th><th>{t.incident.found}</th><th>{t.incident.result}</th></tr>
      </thead>
      <tbody>
        {conditions.map((condition) => (
          <tr key={condition.path}>
            <td>
              <code>{condition.field}</code> {t.operator(condition.operator)}{" "}
              {condition.expected !== null && <code>{brief(condition.expected)}</code>}
            </td>
            <td>{condition.present ? <code>{brief(condition.actual)}</code> : t.incident.missing}</td>
            <td><Holds holds={condition.holds} /></td>
          </tr>
        ))}
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

function brief(value: Json): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function Gate({ decision, events }: { decision: JsonObject; events: StoredEvent[] }) {
  const event = gateOf(events);
  const gate = asObject(decision["gate"]);
  const verdict = asText(gate?.["verdict"]);
  const autonomy = asText(decision["autonomy"]);
  const reasons = asList(gate?.["reasons"]).map((reason) => asText(asObject(reason)?.["detail"]) ?? JSON.stringify(reason));
  const word = asText(event?.data["detail"]) ?? asText(event?.data["reason"]);
  return (
    <div className={classes["gate"]}>
      <h3>{t.incident.gate}</h3>
      <p className={classes["verdict"]}>
        {event !== null && <Tag tone={event.type === "plan.approved" ? "good" : event.type === "approval.requested" ? "waiting" : "person"}>{t.incident.gateWord(event.type)}</Tag>}
        {autonomy !== null && <span>{t.incident.ofPolicy(autonomy)}</span>}
        {verdict !== null && <span>{t.incident.gateVerdict(verdict)}</span>}
        {event?.metadata.actor !== undefined && <span className={classes["stepTool"]}>{t.incident.by(event.metadata.actor)}</span>}
      </p>
      {reasons.length === 0 ? (
        <p className={classes["note"]}>{t.incident.noSignals}</p>
      ) : (
        <ul>{reasons.map((reason) => <li key={reason}>{reason}</li>)}</ul>
      )}
      {word !== null && !reasons.includes(word) && <p>{word}</p>}
    </div>
  );
}

function Others({ data, error, except }: { data: Explanations | undefined; error: Error | null; except: string | null }) {
  if (error !== null && data === undefined) return <Trouble error={error} />;
  const others = data?.items.filter((item) => item.rule_id !== except).slice(0, 8) ?? [];
  if (data !== undefined && others.length === 0) return null;
  return (
    <Fold title={t.incident.others}>
      {data === undefined ? <Lines rows={3} /> : <p className={classes["note"]}>{t.incident.considered(data.considered, data.matched)}</p>}
      <ol className={classes["steps"]}>{others.map((item) => <Other key={item.rule_id} item={item} />)}</ol>
    </Fold>
  );
}

function Other({ item }: { item: RuleExplanation }) {
  return (
    <li className={classes["step"]}>
      <details>
        <summary>
          <code className={classes["stepName"]}>{item.rule_id}</code>
          <span className={classes["stepTool"]}>{item.reason}</span>
          {item.winner && <Tag tone="good">{t.incident.wins}</Tag>}
        </summary>
        <div className={classes["io"]}><div className={classes["whole"]}><Conditions conditions={item.conditions} /></div></div>
      </details>
    </li>
  );
}
