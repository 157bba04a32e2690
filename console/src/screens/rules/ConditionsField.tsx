// The conditions of a rule as fields: comparisons with suggestions from the tenant's packs, and nested groups.
import { ActionIcon, Autocomplete, Button, Group, Select, TagsInput, TextInput } from "@mantine/core";
import type { Operator, RuleSchema } from "../../api/authoring";
import type { Json, JsonObject } from "../../api/types";
import { asList } from "../../lib/story";
import { t } from "../../texts";
import { IconCross, IconPlus } from "../../ui/icons";
import type { Faults } from "../../ui/SchemaForm";
import classes from "../../ui/authoring.module.css";
import { meant, membersOf, QUANTIFIERS, quantifierOf, shownAs, type Quantifier } from "./conditions";

interface ConditionsFieldProps {
  conditions: JsonObject[];
  schema: RuleSchema;
  faults: Faults;
  pointer: string;
  onChange: (conditions: JsonObject[]) => void;
}

const NEW: JsonObject = { field: "check_type", operator: "eq", value: "" };
const MOST_DEPTH = 4;

export function ConditionsField({ conditions, schema, faults, pointer, onChange, depth = 0 }: ConditionsFieldProps & { depth?: number }) {
  const put = (index: number, next: JsonObject) => onChange(conditions.map((one, at) => (at === index ? next : one)));
  const drop = (index: number) => onChange(conditions.filter((_one, at) => at !== index));
  return (
    <div>
      {conditions.map((condition, index) => {
        const place = `${pointer}/${index}`;
        const quantifier = quantifierOf(condition);
        if (quantifier === null) {
          return (
            <Comparison
              key={index} condition={condition} schema={schema} fault={faultAt(faults, place)} nth={index + 1}
              onChange={(next) => put(index, next)} onRemove={() => drop(index)}
            />
          );
        }
        return (
          <div key={index} className={classes["group"]} role="group" aria-label={`${t.ruleEditor.group} ${index + 1}`}>
            <Group gap="xs">
              <Select
                size="xs" w="8rem" aria-label={t.ruleEditor.group} allowDeselect={false} value={quantifier}
                data={QUANTIFIERS.map((value) => ({ value, label: t.ruleEditor.groups[value] ?? value }))}
                onChange={(value) => put(index, { [value as Quantifier]: condition[quantifier] ?? [] })}
              />
              <ActionIcon variant="subtle" color="gray" aria-label={t.editor.removeNth(t.ruleEditor.group, index + 1)} onClick={() => drop(index)}>
                <IconCross width="0.9rem" />
              </ActionIcon>
            </Group>
            <ConditionsField
              conditions={membersOf(condition, quantifier)} schema={schema} faults={faults} pointer={`${place}/${quantifier}`} depth={depth + 1}
              onChange={(next) => put(index, { [quantifier]: next })}
            />
          </div>
        );
      })}
      <Group gap="xs">
        <Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} onClick={() => onChange([...conditions, NEW])}>
          {t.ruleEditor.addCondition}
        </Button>
        {depth < MOST_DEPTH && (
          <Button size="compact-sm" variant="subtle" onClick={() => onChange([...conditions, { any: [NEW] }])}>{t.ruleEditor.addGroup}</Button>
        )}
      </Group>
    </div>
  );
}

interface ComparisonProps {
  condition: JsonObject;
  schema: RuleSchema;
  fault: string | undefined;
  nth: number;
  onChange: (condition: JsonObject) => void;
  onRemove: () => void;
}

function Comparison({ condition, schema, fault, nth, onChange, onRemove }: ComparisonProps) {
  const name = shownAs(condition["field"]);
  const operator = schema.operators.find((one) => one.name === condition["operator"]);
  const known = schema.fields.find((one) => one.name === name);
  const chosen = (next: string | null) => {
    const to = schema.operators.find((one) => one.name === next);
    onChange({ field: name, operator: next ?? "eq", ...(to?.value === "none" ? {} : { value: fitting(condition["value"], to) }) });
  };
  return (
    <div className={classes["condition"]} role="group" aria-label={`${t.ruleEditor.conditions} ${nth}`}>
      <Autocomplete
        size="xs" aria-label={t.ruleEditor.field} data={schema.fields.map((one) => one.name)} limit={30} value={name}
        {...(fault === undefined ? {} : { error: fault })} onChange={(next) => onChange({ ...condition, field: next })}
      />
      <Select
        size="xs" aria-label={t.ruleEditor.operator} searchable allowDeselect={false} value={shownAs(condition["operator"])} onChange={chosen}
        data={schema.operators.map((one) => ({ value: one.name, label: one.title }))}
      />
      <ValueField
        operator={operator} value={condition["value"]} values={(known?.values ?? []).map((one) => shownAs(one))}
        onChange={(value) => onChange({ ...condition, value })}
      />
      <ActionIcon variant="subtle" color="gray" aria-label={t.editor.removeNth(t.ruleEditor.conditions, nth)} onClick={onRemove}>
        <IconCross width="0.9rem" />
      </ActionIcon>
    </div>
  );
}

function ValueField({ operator, value, values, onChange }: { operator: Operator | undefined; value: Json | undefined; values: string[]; onChange: (value: Json) => void }) {
  if (operator?.value === "none") return <span />;
  if (operator?.value === "list" || operator?.value === "pair") {
    const entries = asList(value ?? null).map((one) => shownAs(one));
    return (
      <TagsInput
        size="xs" aria-label={t.ruleEditor.value} placeholder={t.ruleEditor.listHelp} value={entries} data={values} splitChars={[","]}
        {...(operator.value === "pair" ? { maxTags: 2 } : {})} onChange={(next) => onChange(next.map(meant))}
      />
    );
  }
  if (operator?.value === "text" || typeof value === "object") {
    return <TextInput size="xs" aria-label={t.ruleEditor.value} value={shownAs(value)} onChange={(event) => onChange(event.currentTarget.value)} />;
  }
  return <Autocomplete size="xs" aria-label={t.ruleEditor.value} data={[...new Set(values)]} limit={40} value={shownAs(value)} onChange={(next) => onChange(meant(next))} />;
}

function fitting(value: Json | undefined, operator: Operator | undefined): Json {
  const list = Array.isArray(value) ? value : value === undefined || value === "" ? [] : [value];
  if (operator?.value === "list" || operator?.value === "pair") return list;
  if (operator?.value === "text") return shownAs(list[0]);
  return list[0] ?? "";
}

function faultAt(faults: Faults, pointer: string): string | undefined {
  return Object.entries(faults).find(([place]) => place === pointer || place.startsWith(`${pointer}/`))?.[1];
}
