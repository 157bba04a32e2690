// A rule over time as a form: its kind chooses what else it says; the same document that the YAML editor shows.
import { ActionIcon, Button, Checkbox, NumberInput, Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useRef } from "react";
import type { RuleSchema } from "../../api/authoring";
import { SEVERITIES, type Json, type JsonObject } from "../../api/types";
import { duration, words } from "../../lib/format";
import { inSchemaOrder } from "../../lib/schemaOrder";
import { asList, asObject, asText } from "../../lib/story";
import { t } from "../../texts";
import { IconCross, IconPlus } from "../../ui/icons";
import type { Faults } from "../../ui/SchemaForm";
import classes from "../../ui/authoring.module.css";
import { ConditionsField } from "../rules/ConditionsField";
import { KINDS, kindOf, NEEDS, NEW_CONDITION, ofKind, says, type Kind } from "./kinds";

interface FormProps {
  rule: JsonObject;
  /** The JSON Schema of a rule over time. */
  schema: JsonObject;
  /** The fields and comparisons of conditions. */
  known: RuleSchema;
  /** By JSON pointer, what is wrong. */
  faults: Faults;
  fresh: boolean;
  onChange: (rule: JsonObject) => void;
}

type Put = (name: string, value: Json | undefined) => void;
type Part = Omit<FormProps, "fresh" | "onChange"> & { kind: Kind; put: Put };

const SECONDS = ["within_seconds", "quiet_seconds", "late_seconds"] as const;
const MOST_SHOWN = 200;

export function TemporalForm({ rule, schema, known, faults, fresh, onChange }: FormProps) {
  const before = useRef<JsonObject>({});
  const kind = kindOf(rule);
  const put: Put = (name, value) => {
    const rest = Object.fromEntries(Object.entries(rule).filter(([one]) => one !== name));
    onChange(asObject(inSchemaOrder(value === undefined || value === "" ? rest : { ...rest, [name]: value }, schema)) ?? rest);
  };
  const turn = (next: string | null) => {
    before.current = { ...before.current, ...rule };
    onChange(asObject(inSchemaOrder(ofKind(rule, KINDS.find((one) => one === next) ?? kind, before.current), schema)) ?? rule);
  };
  const part: Part = { rule, schema, known, faults, kind, put };
  const text = (name: string) => asText(rule[name] ?? null) ?? "";
  return (
    <div className={classes["grid"]}>
      <TextInput
        label={t.ruleEditor.id} description={t.temporal.form.idHelp} required readOnly={!fresh} maxLength={100} value={text("id")} error={faults["/id"] ?? null}
        onChange={(event) => put("id", event.currentTarget.value)}
      />
      <TextInput label={t.ruleEditor.title} required maxLength={160} value={text("title")} error={faults["/title"] ?? null} onChange={(event) => put("title", event.currentTarget.value)} />
      <Select
        label={t.temporal.kind} description={t.temporal.form.kindHelp[kind]} required allowDeselect={false} value={kind} error={faults["/kind"] ?? null}
        data={KINDS.map((one) => ({ value: one, label: t.temporal.kinds[one] }))} onChange={turn}
      />
      <Checkbox label={t.ruleEditor.enabled} checked={rule["enabled"] !== false} onChange={(event) => put("enabled", event.currentTarget.checked ? undefined : false)} />
      <TagsInput
        className={classes["wide"] ?? ""} label={t.temporal.form.by} description={t.temporal.form.byHelp} value={asList(rule["by"] ?? null).map(String)} error={faultBelow(faults, "/by")}
        data={known.fields.map((one) => one.name)} limit={30} maxTags={5} splitChars={[","]} onChange={(next) => put("by", next.length === 0 ? undefined : next)}
      />
      {says(kind, "conditions") && <Conditions {...part} name="conditions" title={t.temporal.form.conditions[kind]} />}
      {says(kind, "steps") && <Steps {...part} />}
      {says(kind, "awaits") && <Conditions {...part} name="awaits" title={t.temporal.form.awaits} help={t.temporal.form.awaitsHelp} />}
      {says(kind, "times") && <NumberOf {...part} name="times" label={t.temporal.form.times} />}
      {says(kind, "field") && (
        <TextInput
          label={t.temporal.form.field} description={t.temporal.form.fieldHelp} required maxLength={256} value={text("field")} error={faults["/field"] ?? null}
          onChange={(event) => put("field", event.currentTarget.value)}
        />
      )}
      {says(kind, "threshold") && <NumberOf {...part} name="threshold" label={t.temporal.form.threshold} />}
      {SECONDS.filter((name) => says(kind, name)).map((name) => <NumberOf key={name} {...part} name={name} label={t.temporal.form[name]} help={t.temporal.form.help[name]} inSeconds />)}
      <NumberOf {...part} name="most_keys" label={t.temporal.form.mostKeys} help={t.temporal.form.mostKeysHelp} />
      {says(kind, "expected") && <Expected {...part} />}
      <Raises {...part} />
      <Textarea
        className={classes["wide"] ?? ""} label={t.ruleEditor.description} autosize minRows={2} maxRows={10} maxLength={2_000} value={text("description")} error={faults["/description"] ?? null}
        onChange={(event) => put("description", event.currentTarget.value)}
      />
    </div>
  );
}

function NumberOf({ rule, schema, faults, kind, put, name, label, help, inSeconds = false }: Part & { name: string; label: string; help?: string | undefined; inSeconds?: boolean }) {
  const value = rule[name];
  const limits = asObject(asObject(schema["properties"] ?? null)?.[name] ?? null) ?? {};
  const span = inSeconds && typeof value === "number" && value >= 60 ? duration(value) : "";
  return (
    <NumberInput
      label={label} description={[help, span].filter((one) => one !== undefined && one !== "").join(" ")} required={NEEDS[kind].includes(name)} error={faults[`/${name}`] ?? null}
      value={typeof value === "number" ? value : ""} allowDecimal={limits["type"] === "number"} {...bounds(limits)} clampBehavior="blur"
      onChange={(next) => put(name, typeof next === "number" ? next : undefined)}
    />
  );
}

function bounds(limits: JsonObject): { min?: number; max?: number } {
  const { minimum, maximum } = limits;
  return { ...(typeof minimum === "number" ? { min: minimum } : {}), ...(typeof maximum === "number" ? { max: maximum } : {}) };
}

function Conditions({ rule, known, faults, put, name, title, help = t.ruleEditor.conditionsHelp }: Part & { name: string; title: string; help?: string }) {
  return (
    <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
      <legend>{title}</legend>
      <p className={classes["soft"]}>{help}</p>
      <Fault text={faults[`/${name}`]} />
      <ConditionsField conditions={objects(rule[name])} schema={known} faults={faults} pointer={`/${name}`} onChange={(next) => put(name, next)} />
    </fieldset>
  );
}

function Steps({ rule, known, faults, put }: Part) {
  const steps = objects(rule["steps"]);
  const change = (index: number, next: JsonObject) => put("steps", steps.map((one, at) => (at === index ? next : one)));
  return (
    <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
      <legend>{t.temporal.form.steps}</legend>
      <p className={classes["soft"]}>{t.temporal.form.stepsHelp}</p>
      <Fault text={faults["/steps"]} />
      {steps.map((step, index) => (
        <fieldset key={index} className={classes["entry"]} aria-label={t.temporal.form.step(index + 1)}>
          <div className={classes["entryHead"]}>
            <b>{t.temporal.form.step(index + 1)}</b>
            {steps.length > 2 && (
              <ActionIcon variant="subtle" color="gray" aria-label={t.editor.removeNth(t.temporal.form.steps, index + 1)} onClick={() => put("steps", steps.filter((_one, at) => at !== index))}>
                <IconCross width="0.9rem" />
              </ActionIcon>
            )}
          </div>
          <Fault text={faults[`/steps/${index}`] ?? faults[`/steps/${index}/conditions`]} />
          <ConditionsField
            conditions={objects(step["conditions"])} schema={known} faults={faults} pointer={`/steps/${index}/conditions`} onChange={(conditions) => change(index, { ...step, conditions })}
          />
          <NumberInput
            mt="xs" w="12rem" label={t.temporal.form.stepTimes} min={1} max={100} allowDecimal={false} value={typeof step["times"] === "number" ? step["times"] : 1} error={faults[`/steps/${index}/times`] ?? null}
            onChange={(next) => change(index, { conditions: step["conditions"] ?? [], ...(typeof next === "number" && next > 1 ? { times: next } : {}) })}
          />
        </fieldset>
      ))}
      {steps.length < 5 && (
        <Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} onClick={() => put("steps", [...steps, { conditions: [NEW_CONDITION] }])}>{t.temporal.form.addStep}</Button>
      )}
    </fieldset>
  );
}

/** Keys that are looked for though nothing was ever seen of them: a value for each field of the key. */
function Expected({ rule, faults, put }: Part) {
  const by = asList(rule["by"] ?? null).map(String);
  const keys = objects(rule["expected"]);
  const change = (next: JsonObject[]) => put("expected", next.length === 0 ? undefined : next);
  return (
    <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
      <legend>{t.temporal.form.expected}</legend>
      <p className={classes["soft"]}>{by.length === 0 ? t.temporal.form.expectedNoKey : t.temporal.form.expectedHelp}</p>
      <Fault text={faults["/expected"]} />
      {keys.slice(0, MOST_SHOWN).map((key, index) => (
        <div key={index} role="group" aria-label={t.temporal.form.expectedNth(index + 1)} style={{ display: "flex", gap: "0.5rem", flexWrap: "wrap", alignItems: "flex-end", marginBottom: "0.4rem" }}>
          {by.map((name) => (
            <TextInput
              key={name} size="xs" label={name} maxLength={200} value={asText(key[name] ?? null) ?? ""} error={faultBelow(faults, `/expected/${index}`)}
              onChange={(event) => { const value = event.currentTarget.value; change(keys.map((one, at) => (at === index ? { ...one, [name]: value } : one))); }}
            />
          ))}
          <ActionIcon variant="subtle" color="gray" aria-label={t.editor.removeNth(t.temporal.form.expected, index + 1)} onClick={() => change(keys.filter((_one, at) => at !== index))}>
            <IconCross width="0.9rem" />
          </ActionIcon>
        </div>
      ))}
      {keys.length > MOST_SHOWN && <p className={classes["soft"]}>{t.temporal.form.expectedMore(keys.length - MOST_SHOWN)}</p>}
      {by.length > 0 && keys.length < MOST_SHOWN && (
        <Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} onClick={() => change([...keys, Object.fromEntries(by.map((name) => [name, ""]))])}>{t.temporal.form.addExpected}</Button>
      )}
    </fieldset>
  );
}

function Raises({ rule, faults, put }: Part) {
  const raises = asObject(rule["raises"] ?? null) ?? {};
  const say = (name: string, value: string | null) => {
    const rest = Object.fromEntries(Object.entries(raises).filter(([one]) => one !== name));
    put("raises", value === null || value === "" ? rest : { ...rest, [name]: value });
  };
  const text = (name: string) => asText(raises[name] ?? null) ?? "";
  return (
    <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
      <legend>{t.temporal.form.raises}</legend>
      <p className={classes["soft"]}>{t.temporal.form.raisesHelp}</p>
      <Fault text={faults["/raises"]} />
      <div className={classes["grid"]}>
        <TextInput
          label={t.temporal.form.checkType} description={t.temporal.form.checkTypeHelp} required maxLength={64} value={text("check_type")} error={faults["/raises/check_type"] ?? null}
          onChange={(event) => say("check_type", event.currentTarget.value)}
        />
        <Select
          label={t.temporal.form.severity} clearable clearButtonProps={{ "aria-label": t.editor.remove }} value={text("severity") === "" ? null : text("severity")} error={faults["/raises/severity"] ?? null}
          data={SEVERITIES.map((one) => ({ value: one, label: words(one) }))} onChange={(next) => say("severity", next)}
        />
        <TextInput
          className={classes["wide"] ?? ""} label={t.temporal.form.summary} description={t.temporal.form.summaryHelp} maxLength={500} value={text("summary")} error={faults["/raises/summary"] ?? null}
          onChange={(event) => say("summary", event.currentTarget.value)}
        />
      </div>
    </fieldset>
  );
}

function Fault({ text }: { text: string | undefined }) {
  return text === undefined ? null : <p role="alert" className={classes["problems"]}>{text}</p>;
}

function objects(value: Json | undefined): JsonObject[] {
  return asList(value ?? null).map((one) => asObject(one) ?? {});
}

function faultBelow(faults: Faults, pointer: string): string | null {
  return Object.entries(faults).find(([place]) => place === pointer || place.startsWith(`${pointer}/`))?.[1] ?? null;
}
