// A rule as a form: what it looks at, what it does, how often; the same document that the YAML editor shows.
import { Checkbox, NumberInput, Select, Textarea, TextInput } from "@mantine/core";
import type { RuleSchema, Runnable } from "../../api/authoring";
import type { Json, JsonObject } from "../../api/types";
import { asList, asObject, asText } from "../../lib/story";
import { t } from "../../texts";
import { JsonField, type Faults } from "../../ui/SchemaForm";
import classes from "../../ui/authoring.module.css";
import { ConditionsField } from "./ConditionsField";

interface RuleFormProps {
  rule: JsonObject;
  schema: RuleSchema;
  faults: Faults;
  fresh: boolean;
  onChange: (rule: JsonObject) => void;
}

const ACTIONS = ["execute_runbook", "run_playbook", "escalate", "suppress", "notify"];
const WITH_PARAMETERS = new Set(["execute_runbook", "run_playbook"]);

export function RuleForm({ rule, schema, faults, fresh, onChange }: RuleFormProps) {
  const put = (name: string, value: Json | undefined) => {
    const rest = Object.fromEntries(Object.entries(rule).filter(([one]) => one !== name));
    onChange(value === undefined || value === "" ? rest : { ...rule, [name]: value });
  };
  const text = (name: string) => asText(rule[name] ?? null) ?? "";
  const fault = (name: string) => (faults[`/${name}`] === undefined ? {} : { error: faults[`/${name}`] as string });
  const action = text("action");
  const numberOf = (name: string) => (typeof rule[name] === "number" ? (rule[name] as number) : "");
  return (
    <div className={classes["grid"]}>
      <TextInput
        label={t.ruleEditor.id} description={t.ruleEditor.idHelp} required readOnly={!fresh} maxLength={100} value={text("id")} {...fault("id")}
        onChange={(event) => put("id", event.currentTarget.value)}
      />
      <TextInput label={t.ruleEditor.title} maxLength={160} value={text("title")} {...fault("title")} onChange={(event) => put("title", event.currentTarget.value)} />
      <NumberInput
        label={t.ruleEditor.priority} description={t.ruleEditor.priorityHelp} min={0} max={100_000} allowDecimal={false} value={numberOf("priority")} {...fault("priority")}
        onChange={(value) => put("priority", typeof value === "number" ? value : undefined)}
      />
      <Checkbox label={t.ruleEditor.enabled} checked={rule["enabled"] !== false} onChange={(event) => put("enabled", event.currentTarget.checked)} />
      <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
        <legend>{t.ruleEditor.conditions}</legend>
        <p className={classes["soft"]}>{t.ruleEditor.conditionsHelp}</p>
        {faults["/conditions"] !== undefined && <p role="alert" className={classes["problems"]}>{faults["/conditions"]}</p>}
        <ConditionsField
          conditions={asList(rule["conditions"]).map((one) => asObject(one) ?? {})} schema={schema} faults={faults} pointer="/conditions"
          onChange={(conditions) => put("conditions", conditions)}
        />
      </fieldset>
      <Select
        label={t.ruleEditor.action} required allowDeselect={false} value={action === "" ? null : action} {...fault("action")}
        data={ACTIONS.map((value) => ({ value, label: t.ruleEditor.actions[value] ?? value }))} onChange={(value) => put("action", value ?? undefined)}
      />
      {action === "execute_runbook" && <Runs label={t.ruleEditor.runbook} known={schema.runbooks} value={text("runbook_id")} {...fault("runbook_id")} onChange={(id) => put("runbook_id", id)} />}
      {action === "run_playbook" && <Runs label={t.ruleEditor.playbook} known={schema.playbooks} value={text("playbook_id")} {...fault("playbook_id")} onChange={(id) => put("playbook_id", id)} />}
      <TextInput label={t.ruleEditor.reason} maxLength={500} value={text("reason")} {...fault("reason")} onChange={(event) => put("reason", event.currentTarget.value)} />
      <NumberInput
        label={t.ruleEditor.cooldown} min={0} allowDecimal={false} value={numberOf("cooldown_seconds")} {...fault("cooldown_seconds")}
        onChange={(value) => put("cooldown_seconds", typeof value === "number" ? value : undefined)}
      />
      <NumberInput
        label={t.ruleEditor.attempts} min={1} max={20} allowDecimal={false} value={numberOf("max_attempts")} {...fault("max_attempts")}
        onChange={(value) => put("max_attempts", typeof value === "number" ? value : undefined)}
      />
      {WITH_PARAMETERS.has(action) && (
        <div className={classes["wide"]}>
          <JsonField label={`${t.ruleEditor.parameters} ${t.editor.json}`} value={rule["parameters"]} error={faults["/parameters"]} onChange={(value) => put("parameters", value)} />
        </div>
      )}
      <Textarea
        className={classes["wide"] ?? ""} label={t.ruleEditor.description} autosize minRows={2} maxRows={10} maxLength={4_000} value={text("description")} {...fault("description")}
        onChange={(event) => put("description", event.currentTarget.value)}
      />
    </div>
  );
}

function Runs({ label, known, value, error, onChange }: { label: string; known: readonly Runnable[]; value: string; error?: string; onChange: (id: string | undefined) => void }) {
  return (
    <Select
      label={label} required searchable limit={50} value={value === "" ? null : value} {...(error === undefined ? {} : { error })}
      data={known.map((one) => ({ value: one.id, label: `${one.id}: ${one.title}` }))} onChange={(id) => onChange(id ?? undefined)}
    />
  );
}
