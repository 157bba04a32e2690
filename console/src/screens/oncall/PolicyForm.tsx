// An escalation policy as a form: for which incidents, whom each step tells, how long it waits, when it is quiet, what becomes one message.
import { MultiSelect, NumberInput, Select, Switch, TagsInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { channelsQuery, schedulesQuery, type PolicyDraft, type QuietHours, type Step, type Target } from "../../api/escalation";
import { faultOf } from "../../api/problem";
import { browserTimeZone } from "../../lib/preferences";
import { useTenant } from "../../lib/tenant";
import { SEVERITIES, type Severity } from "../../api/types";
import { t } from "../../texts";
import { Panel } from "../../ui/parts";
import authoring from "../../ui/authoring.module.css";
import { usePeople } from "../incidents/people";
import classes from "./OnCall.module.css";
import { Seconds } from "./fields";
import { Add, Drop, replaced, WindowFields } from "./ScheduleForm";

interface PolicyFormProps {
  draft: PolicyDraft;
  error: Error | null;
  onChange: (draft: PolicyDraft) => void;
}

const severityOptions = SEVERITIES.map((value) => ({ value, label: t.severity[value] }));

export function PolicyForm({ draft, error, onChange }: PolicyFormProps) {
  const put = (changes: Partial<PolicyDraft>) => onChange({ ...draft, ...changes });
  const step: Step = { targets: draft.steps.at(-1)?.targets.slice(0, 1) ?? [], wait_seconds: 300 };
  const quiet: QuietHours = { days: [0, 1, 2, 3, 4, 5, 6], begins: "22:00", ends: "07:00", time_zone: browserTimeZone(), severities: ["low", "info"] };
  return (
    <>
      <Panel>
        <div className={authoring["grid"]}>
          <TextInput label={t.escalations.name} required maxLength={120} value={draft.name} error={faultOf(error, "/name")} onChange={(event) => put({ name: event.currentTarget.value })} />
          <NumberInput label={t.escalations.position} description={t.escalations.positionHelp} required min={0} max={100_000} allowDecimal={false} value={draft.position} onChange={(value) => put({ position: Number(value) || 0 })} />
          <Switch label={t.escalations.enabled} checked={draft.enabled} onChange={(event) => put({ enabled: event.currentTarget.checked })} />
        </div>
      </Panel>
      <Panel title={t.escalations.match}>
        <p className={classes["soft"]}>{t.escalations.matchHelp}</p>
        <div className={authoring["grid"]}>
          <MultiSelect label={t.escalations.severities} value={draft.match.severities} data={severityOptions} onChange={(chosen) => put({ match: { ...draft.match, severities: chosen as Severity[] } })} />
          <TagsInput label={t.escalations.checkTypes} description={t.escalations.checkTypesHelp} maxTags={100} value={draft.match.check_types} onChange={(check_types) => put({ match: { ...draft.match, check_types } })} />
          <TagsInput label={t.escalations.sites} description={t.escalations.checkTypesHelp} maxTags={100} value={draft.match.sites} onChange={(sites) => put({ match: { ...draft.match, sites } })} />
        </div>
      </Panel>
      <Panel title={t.escalations.steps} aside={<Add onClick={() => put({ steps: [...draft.steps, step] })}>{t.escalations.addStep}</Add>}>
        {draft.steps.map((one, index) => (
          <fieldset key={index} className={authoring["entry"]}>
            <legend className="visually-hidden">{t.escalations.step(index + 1)}</legend>
            <div className={authoring["entryHead"]}>
              <b>{t.escalations.step(index + 1)}</b>
              {draft.steps.length > 1 && <Drop name={t.escalations.step(index + 1)} onClick={() => put({ steps: draft.steps.filter((_, at) => at !== index) })} />}
            </div>
            <Targets targets={one.targets} pointer={`/steps/${index}/targets`} error={error} onChange={(targets) => put({ steps: replaced(draft.steps, index, { ...one, targets }) })} />
            <div style={{ maxWidth: "18rem" }}>
              <Seconds label={t.escalations.wait} description={t.escalations.waitHelp} value={one.wait_seconds} onChange={(wait_seconds) => put({ steps: replaced(draft.steps, index, { ...one, wait_seconds }) })} />
            </div>
          </fieldset>
        ))}
        <div className={authoring["grid"]}>
          <NumberInput label={t.escalations.repeats} description={t.escalations.repeatsHelp} min={0} max={20} allowDecimal={false} value={draft.repeats} onChange={(value) => put({ repeats: Number(value) || 0 })} error={faultOf(error, "/steps")} />
        </div>
        <h3>{t.escalations.fallback}</h3>
        <p className={classes["soft"]}>{t.escalations.fallbackHelp}</p>
        <Targets targets={draft.fallback} pointer="/fallback" error={error} onChange={(fallback) => put({ fallback })} />
      </Panel>
      <Panel title={t.escalations.quiet} aside={<Add onClick={() => put({ quiet_hours: [...draft.quiet_hours, quiet] })}>{t.escalations.addQuiet}</Add>}>
        <p className={classes["soft"]}>{t.escalations.quietHelp}</p>
        {draft.quiet_hours.map((one, index) => {
          const change = (next: Partial<QuietHours>) => put({ quiet_hours: replaced(draft.quiet_hours, index, { ...one, ...next }) });
          return (
            <fieldset key={index} className={authoring["entry"]}>
              <legend className="visually-hidden">{t.escalations.quietOne(index + 1)}</legend>
              <div className={authoring["entryHead"]}><b>{t.escalations.quietOne(index + 1)}</b><Drop name={t.escalations.quietOne(index + 1)} onClick={() => put({ quiet_hours: draft.quiet_hours.filter((_, at) => at !== index) })} /></div>
              <WindowFields window={one} name={t.escalations.quietOne(index + 1)} onChange={change} />
              <div className={authoring["grid"]}>
                <TextInput label={t.onCall.zone} required maxLength={60} value={one.time_zone} error={faultOf(error, `/quiet_hours/${index}/time_zone`)} onChange={(event) => change({ time_zone: event.currentTarget.value })} />
                <MultiSelect label={t.escalations.severities} required value={one.severities} data={severityOptions} onChange={(chosen) => change({ severities: chosen as Severity[] })} />
              </div>
            </fieldset>
          );
        })}
      </Panel>
      <Panel title={t.escalations.storm}>
        <p className={classes["soft"]}>{t.escalations.stormHelp}</p>
        <div className={authoring["grid"]}>
          <NumberInput label={t.escalations.threshold} required min={1} max={10_000} allowDecimal={false} value={draft.storm.threshold} onChange={(value) => put({ storm: { ...draft.storm, threshold: Number(value) || 1 } })} />
          <Seconds label={t.escalations.windowSeconds} least={1} value={draft.storm.window_seconds} onChange={(window_seconds) => put({ storm: { ...draft.storm, window_seconds } })} />
          <Seconds label={t.escalations.updateSeconds} least={1} value={draft.storm.update_seconds} onChange={(update_seconds) => put({ storm: { ...draft.storm, update_seconds } })} />
        </div>
      </Panel>
    </>
  );
}

const ITSELF = "itself";

function Targets({ targets, pointer, error, onChange }: { targets: Target[]; pointer: string; error: Error | null; onChange: (targets: Target[]) => void }) {
  const tenant = useTenant();
  const people = usePeople();
  const channels = useQuery(channelsQuery(tenant.id)).data ?? [];
  const schedules = useQuery(schedulesQuery(tenant.id)).data ?? [];
  const whom = [
    { value: ITSELF, label: t.escalations.itself },
    ...schedules.map((one) => ({ value: `schedule:${one.id}`, label: t.escalations.onCallBy(one.name) })),
    ...people.all.map((one) => ({ value: `user:${one.id}`, label: one.name })),
  ];
  const first = channels[0];
  return (
    <>
      {targets.map((target, index) => (
        <div key={index} className={classes["row"]} role="group" aria-label={t.escalations.target(index + 1)} style={{ marginBottom: "0.5rem" }}>
          <Select
            className={classes["grow"] ?? ""} label={t.escalations.channel} required searchable allowDeselect={false} value={target.channel_id}
            data={channels.map((one) => ({ value: one.id, label: `${one.name} (${t.channels.kinds[one.kind]})` }))} error={faultOf(error, `${pointer}/${index}/channel_id`)}
            onChange={(channel_id) => onChange(replaced(targets, index, { ...target, channel_id: channel_id ?? target.channel_id }))}
          />
          <Select
            className={classes["grow"] ?? ""} label={t.escalations.whom} required searchable allowDeselect={false} value={whomOf(target)} data={whom}
            error={faultOf(error, `${pointer}/${index}/schedule_id`) ?? faultOf(error, `${pointer}/${index}/user_id`)}
            onChange={(value) => onChange(replaced(targets, index, { channel_id: target.channel_id, ...named(value ?? ITSELF) }))}
          />
          <Drop name={t.escalations.target(index + 1)} onClick={() => onChange(targets.filter((_, at) => at !== index))} />
        </div>
      ))}
      {faultOf(error, pointer) !== undefined && <p role="alert" className={classes["warning"]}>{faultOf(error, pointer)}</p>}
      <div style={{ marginBottom: "0.6rem" }}>
        {first === undefined ? <p className={classes["soft"]}>{t.escalations.needChannel}</p> : <Add onClick={() => onChange([...targets, { channel_id: first.id, schedule_id: null, user_id: null }])}>{t.escalations.addTarget}</Add>}
      </div>
    </>
  );
}

function whomOf({ schedule_id, user_id }: Target): string {
  if (schedule_id !== null) return `schedule:${schedule_id}`;
  return user_id === null ? ITSELF : `user:${user_id}`;
}

function named(value: string): Omit<Target, "channel_id"> {
  const [kind, id = ""] = value.split(":");
  return { schedule_id: kind === "schedule" ? id : null, user_id: kind === "user" ? id : null };
}
