// A form made from a JSON Schema: what it knows gets a field of its own, anything else is edited as JSON.
import { ActionIcon, Button, Checkbox, MultiSelect, NumberInput, Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Json, JsonObject } from "../api/types";
import { words } from "../lib/format";
import { resolved } from "../lib/schemaOrder";
import { asList, asObject, asText } from "../lib/story";
import { t } from "../texts";
import { IconCross, IconPlus } from "./icons";
import classes from "./authoring.module.css";

export type Faults = Readonly<Record<string, string>>;

interface FormProps {
  schema: JsonObject;
  value: JsonObject;
  onChange: (value: JsonObject) => void;
  /** By JSON pointer, what is wrong. */
  faults?: Faults;
  /** Better names for fields. */
  names?: Record<string, string>;
  pointer?: string;
  root?: JsonObject;
}

interface FieldProps {
  name: string;
  schema: JsonObject;
  root: JsonObject;
  value: Json | undefined;
  required: boolean;
  pointer: string;
  faults: Faults;
  names: Record<string, string>;
  onChange: (value: Json | undefined) => void;
}

const LONG = 250;
const NONE: Faults = {};
const NO_NAMES: Record<string, string> = {};

export function SchemaForm({ schema, value, onChange, faults = NONE, names = NO_NAMES, pointer = "", root = schema }: FormProps) {
  const properties = asObject(schema["properties"]) ?? {};
  const required = asList(schema["required"]);
  return (
    <div className={classes["grid"]}>
      {Object.entries(properties).map(([name, given]) => {
        const field = resolved(asObject(given) ?? {}, root);
        if (field["const"] !== undefined) return null;
        return (
          <Field
            key={name} name={name} schema={field} root={root} value={value[name]} required={required.includes(name)}
            pointer={`${pointer}/${name}`} faults={faults} names={names}
            onChange={(next) => onChange(withMember(value, name, next))}
          />
        );
      })}
    </div>
  );
}

function Field(props: FieldProps) {
  const { name, schema, value, required, pointer, faults, names, onChange } = props;
  const label = names[name] ?? titleOf(name);
  const common = { label, description: asText(schema["description"]) ?? undefined, required, error: faults[pointer] };
  const options = optionsOf(schema);
  const kind = kindOf(schema);
  if (options !== null) {
    return (
      <Select
        {...plain(common)} data={options} value={value === undefined || value === null ? null : String(value)} clearable={!required}
        onChange={(next) => onChange(next === null ? undefined : originalOf(schema, next))}
      />
    );
  }
  if (kind === "boolean") {
    return <Checkbox {...plain(common)} checked={value === true} onChange={(event) => onChange(event.currentTarget.checked)} />;
  }
  if (kind === "integer" || kind === "number") {
    return (
      <NumberInput
        {...plain(common)} value={typeof value === "number" ? value : ""} allowDecimal={kind === "number"}
        onChange={(next) => onChange(typeof next === "number" ? next : undefined)}
      />
    );
  }
  if (kind === "string") return <TextField {...props} common={plain(common)} />;
  if (kind === "array") return <ListField {...props} label={label} />;
  if (kind === "object" && asObject(schema["properties"]) !== null) {
    return (
      <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
        <legend>{label}</legend>
        {schema["description"] !== undefined && <p className={classes["soft"]}>{asText(schema["description"])}</p>}
        <SchemaForm
          schema={schema} root={props.root} value={asObject(value ?? null) ?? {}} faults={faults} names={names} pointer={pointer}
          onChange={(next) => onChange(Object.keys(next).length === 0 && !required ? undefined : next)}
        />
        {faults[pointer] !== undefined && <p role="alert" className={classes["problems"]}>{faults[pointer]}</p>}
      </fieldset>
    );
  }
  return <div className={classes["wide"]}><JsonField label={`${label} ${t.editor.json}`} value={value} onChange={onChange} error={faults[pointer]} required={required} /></div>;
}

function TextField({ schema, value, onChange, common }: FieldProps & { common: object }) {
  const text = typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
  const change = (next: string) => onChange(next === "" ? undefined : next);
  const long = typeof schema["maxLength"] === "number" && schema["maxLength"] > LONG;
  if (long || text.includes("\n")) {
    return <Textarea {...common} className={classes["wide"] ?? ""} autosize minRows={1} maxRows={12} value={text} onChange={(event) => change(event.currentTarget.value)} />;
  }
  return <TextInput {...common} value={text} onChange={(event) => change(event.currentTarget.value)} />;
}

function ListField({ name, schema, root, value, required, pointer, faults, names, onChange, label }: FieldProps & { label: string }) {
  const items = resolved(asObject(schema["items"] ?? null) ?? {}, root);
  const entries = asList(value ?? null);
  const description = asText(schema["description"]) ?? undefined;
  const change = (next: Json[]) => onChange(next.length === 0 && !required ? undefined : next);
  const choices = optionsOf(items);
  const fault = faults[pointer] ?? Object.entries(faults).find(([place]) => place.startsWith(`${pointer}/`))?.[1];
  if (choices !== null) {
    return (
      <MultiSelect {...plain({ label, description, required, error: fault })} data={choices} value={entries.map(String)} onChange={change} clearable />
    );
  }
  if (kindOf(items) === "string") {
    return <TagsInput {...plain({ label, description, required, error: fault })} value={entries.map(String)} onChange={change} splitChars={[",", "\n"]} />;
  }
  if (kindOf(items) !== "object" || asObject(items["properties"]) === null) {
    return <div className={classes["wide"]}><JsonField label={`${label} ${t.editor.json}`} value={value} onChange={onChange} error={fault} required={required} /></div>;
  }
  return (
    <fieldset className={`${classes["section"]} ${classes["wide"]}`}>
      <legend>{label}</legend>
      {description !== undefined && <p className={classes["soft"]}>{description}</p>}
      {entries.map((entry, index) => (
        <div key={index} className={classes["entry"]}>
          <div className={classes["entryHead"]}>
            <b>{`${label} ${index + 1}`}</b>
            <ActionIcon variant="subtle" color="gray" aria-label={t.editor.removeNth(label, index + 1)} onClick={() => change(entries.filter((_one, at) => at !== index))}>
              <IconCross width="0.9rem" />
            </ActionIcon>
          </div>
          {faults[`${pointer}/${index}`] !== undefined && <p role="alert" className={classes["problems"]}>{faults[`${pointer}/${index}`]}</p>}
          <SchemaForm
            schema={items} root={root} value={asObject(entry) ?? {}} faults={faults} names={names} pointer={`${pointer}/${index}`}
            onChange={(next) => change(entries.map((one, at) => (at === index ? next : one)))}
          />
        </div>
      ))}
      <Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} aria-label={t.editor.addTo(names[name] ?? label)} onClick={() => change([...entries, {}])}>
        {t.editor.add}
      </Button>
    </fieldset>
  );
}

interface JsonFieldProps {
  label: string;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
  error?: string | undefined;
  required?: boolean;
}

/** A value of any shape, as JSON. */
export function JsonField({ label, value, onChange, error, required = false }: JsonFieldProps) {
  const shown = value === undefined ? "" : JSON.stringify(value, null, 2);
  const [text, setText] = useState(shown);
  const broken = text.trim() !== "" && parsed(text) === undefined;
  useEffect(() => {
    setText((before) => (JSON.stringify(parsed(before)) === JSON.stringify(value) ? before : shown));
  }, [value, shown]);
  return (
    <Textarea
      {...plain({ label, required, error: broken ? t.editor.badJson : error })} autosize minRows={2} maxRows={16} spellCheck={false} value={text}
      styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: "0.75rem" } }}
      onChange={(event) => {
        const next = event.currentTarget.value;
        setText(next);
        if (next.trim() === "") onChange(undefined);
        else if (parsed(next) !== undefined) onChange(parsed(next));
      }}
    />
  );
}

/** The faults of a problem by pointer, below a prefix that only the request has. */
export function faultsBelow(prefix: string, faults: readonly { pointer: string; detail: string }[]): Faults {
  return Object.fromEntries(faults.filter((one) => one.pointer.startsWith(prefix)).map((one) => [one.pointer.slice(prefix.length), one.detail]));
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function withMember(value: JsonObject, name: string, member: Json | undefined): JsonObject {
  if (member !== undefined) return { ...value, [name]: member };
  return Object.fromEntries(Object.entries(value).filter(([one]) => one !== name));
}

function optionsOf(schema: JsonObject): { value: string; label: string }[] | null {
  const given = schema["enum"];
  return Array.isArray(given) ? given.map((one) => ({ value: String(one), label: words(String(one)) })) : null;
}

function originalOf(schema: JsonObject, text: string): Json {
  return asList(schema["enum"] ?? null).find((one) => String(one) === text) ?? text;
}

function kindOf(schema: JsonObject): string | null {
  const kind = schema["type"];
  if (Array.isArray(kind)) return asText(kind.find((one) => one !== "null") ?? null);
  return asText(kind ?? null);
}

function titleOf(name: string): string {
  return words(name);
}

/** Leaves out what is undefined: the components take absence, not undefined. */
function plain<Given extends object>(given: Given): { [Name in keyof Given]: NonNullable<Given[Name]> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}
