// The filters above the list; each change stands in the address, so that a link carries it.
import { Button, Checkbox, Group, NativeSelect, Popover, Stack, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useRef, useState, type ReactNode, type Ref } from "react";
import { LEVELS, SEVERITIES, STATES, type IncidentState } from "../api/types";
import { isFiltered, SORTS, type IncidentFilters } from "../lib/filters";
import { useShortcuts } from "../lib/keyboard";
import { t } from "../texts";
import { IconChevron, IconSearch } from "../ui/icons";
import { SeverityMark, StateMark } from "../ui/marks";
import { usePeople } from "./incidents/people";
import { SavedViews } from "./incidents/SavedViews";
import classes from "./Incidents.module.css";

interface BarProps {
  filters: IncidentFilters;
  onChange: (filters: IncidentFilters) => void;
}

const VIEWS: { name: keyof typeof t.incidents.views; state: IncidentState[] }[] = [
  { name: "all", state: [] },
  { name: "unsettled", state: ["open", "triaged", "planning", "awaiting_approval", "healing", "verifying", "escalated"] },
  { name: "person", state: ["awaiting_approval", "escalated"] },
  { name: "settled", state: ["resolved", "closed"] },
];

export function IncidentFiltersBar({ filters, onChange }: BarProps) {
  const search = useRef<HTMLInputElement>(null);
  useShortcuts({ "/": () => search.current?.focus() });
  return (
    <div className={classes["filters"]} role="search" aria-label={t.incidents.filters}>
      <div className={classes["views"]} role="group" aria-label={t.incidents.viewsLabel}>
        {VIEWS.map((view) => {
          const chosen = sameSet(view.state, filters.state ?? []);
          return (
            <button key={view.name} type="button" aria-pressed={chosen} onClick={() => onChange(withState(filters, view.state))}>
              {t.incidents.views[view.name]}
            </button>
          );
        })}
      </div>
      <SavedViews filters={filters} known={isBuiltIn(filters)} onChoose={onChange} />
      <TextFilter
        name="q" filters={filters} onChange={onChange} inputRef={search} label={t.incidents.search} wide
        icon={<IconSearch width="0.95rem" />}
      />
      <Choices
        label={t.incidents.state} values={STATES} chosen={filters.state ?? []}
        onChange={(state) => onChange(withState(filters, state))} render={(state) => <StateMark state={state} />}
      />
      <Choices
        label={t.incidents.severity} values={SEVERITIES} chosen={filters.severity ?? []}
        onChange={(severity) => onChange(withList(filters, "severity", severity))} render={(severity) => <SeverityMark severity={severity} />}
      />
      <Choices
        label={t.incidents.level} values={LEVELS} chosen={filters.level ?? []}
        onChange={(level) => onChange(withList(filters, "level", level))} render={(level) => t.level[level]}
      />
      <Assignee filters={filters} onChange={onChange} />
      <TextFilter name="check_type" filters={filters} onChange={onChange} label={t.incidents.checkType} />
      <TextFilter name="host" filters={filters} onChange={onChange} label={t.incidents.host} />
      <More filters={filters} onChange={onChange} />
      <NativeSelect
        size="xs" aria-label={t.work.sort} value={filters.sort ?? "opened"} className={classes["select"] ?? ""}
        data={SORTS.map((sort) => ({ value: sort, label: t.work.sorts[sort] }))}
        onChange={(event) => onChange(withText(filters, "sort", event.currentTarget.value === "opened" ? "" : event.currentTarget.value))}
      />
      {isFiltered(filters) && (
        <Button variant="subtle" size="xs" color="gray" onClick={() => onChange({})}>{t.incidents.clear}</Button>
      )}
    </div>
  );
}

function Assignee({ filters, onChange }: BarProps) {
  const people = usePeople();
  return (
    <NativeSelect
      size="xs" aria-label={t.work.assignee} value={filters.assignee ?? ""} className={classes["select"] ?? ""} data-chosen={filters.assignee !== undefined || undefined}
      data={[
        { value: "", label: t.work.assignee },
        ...(["me", "none", "anyone"] as const).map((value) => ({ value, label: `${t.work.assignee}: ${t.work.assignees[value]}` })),
        ...people.all.filter((person) => person.id !== people.me).map((person) => ({ value: person.id, label: `${t.work.assignee}: ${person.name}` })),
      ]}
      onChange={(event) => onChange(withText(filters, "assignee", event.currentTarget.value))}
    />
  );
}

/* What is asked for less often. */
function More({ filters, onChange }: BarProps) {
  const used = (["site", "rule_id", "label", "needs_me"] as const).filter((name) => filters[name] !== undefined).length;
  return (
    <Popover position="bottom-start" trapFocus returnFocus shadow="md">
      <Popover.Target>
        <Button variant="default" size="xs" rightSection={<IconChevron width="0.8rem" />} data-chosen={used > 0 || undefined}>
          {used === 0 ? t.work.moreFilters : t.incidents.chosen(t.work.moreFilters, used)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="sm">
          <Checkbox
            size="xs" label={t.work.needsMe} checked={filters.needs_me === true}
            onChange={(event) => {
              const { needs_me: _, ...others } = filters;
              onChange(event.currentTarget.checked ? { ...others, needs_me: true } : others);
            }}
          />
          <TextFilter name="site" filters={filters} onChange={onChange} label={t.work.site} />
          <TextFilter name="rule_id" filters={filters} onChange={onChange} label={t.work.rule} />
          <LabelFilter filters={filters} onChange={onChange} />
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function LabelFilter({ filters, onChange }: BarProps) {
  const given = (filters.label ?? []).join(", ");
  const [text, setText] = useState(given);
  useEffect(() => setText(given), [given]);
  const commit = (value: string) => {
    const labels = value.split(",").map((one) => one.trim()).filter((one) => one.indexOf("=") > 0);
    const { label: _, ...others } = filters;
    onChange(labels.length === 0 ? others : { ...others, label: labels });
  };
  return (
    <TextInput
      size="xs" type="search" value={text} placeholder={t.work.label} aria-label={t.work.label}
      onChange={(event) => setText(event.currentTarget.value)} onBlur={() => text !== given && commit(text)}
      onKeyDown={(event) => event.key === "Enter" && commit(text)}
    />
  );
}

interface TextFilterProps extends BarProps {
  name: "q" | "check_type" | "host" | "site" | "rule_id";
  label: string;
  icon?: ReactNode;
  wide?: boolean;
  inputRef?: Ref<HTMLInputElement>;
}

function TextFilter({ name, label, icon, wide = false, filters, onChange, inputRef }: TextFilterProps) {
  const given = filters[name] ?? "";
  const [text, setText] = useState(given);
  useEffect(() => setText(given), [given]);
  const commit = useDebouncedCallback((value: string) => {
    const next = { ...filters };
    if (value.trim() === "") delete next[name];
    else next[name] = value.trim();
    onChange(next);
  }, 250);
  return (
    <TextInput
      ref={inputRef} size="xs" type="search" value={text} placeholder={label} aria-label={label} leftSection={icon}
      className={(wide ? classes["wide"] : classes["text"]) ?? ""}
      onChange={(event) => {
        setText(event.currentTarget.value);
        commit(event.currentTarget.value);
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") event.currentTarget.blur();
      }}
    />
  );
}

interface ChoicesProps<Value extends string> {
  label: string;
  values: readonly Value[];
  chosen: Value[];
  onChange: (chosen: Value[]) => void;
  render: (value: Value) => ReactNode;
}

function Choices<Value extends string>({ label, values, chosen, onChange, render }: ChoicesProps<Value>) {
  return (
    <Popover position="bottom-start" trapFocus returnFocus shadow="md">
      <Popover.Target>
        <Button variant="default" size="xs" rightSection={<IconChevron width="0.8rem" />} data-chosen={chosen.length > 0 || undefined}>
          {chosen.length === 0 ? label : t.incidents.chosen(label, chosen.length)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Checkbox.Group value={chosen} onChange={(next) => onChange(values.filter((value) => (next as string[]).includes(value)))} label={label}>
          <Stack gap="xs" mt="xs">
            {values.map((value) => <Checkbox key={value} value={value} size="xs" label={render(value)} />)}
          </Stack>
        </Checkbox.Group>
        {chosen.length > 0 && (
          <Group mt="sm">
            <Button size="compact-xs" variant="subtle" color="gray" onClick={() => onChange([])}>{t.incidents.clear}</Button>
          </Group>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

function withState(filters: IncidentFilters, state: IncidentState[]): IncidentFilters {
  return withList(filters, "state", state);
}

function withList<Name extends "state" | "severity" | "level">(
  filters: IncidentFilters, name: Name, values: NonNullable<IncidentFilters[Name]>,
): IncidentFilters {
  const next = { ...filters };
  if (values.length === 0) delete next[name];
  else next[name] = values;
  return next;
}

function withText(filters: IncidentFilters, name: "assignee" | "sort", value: string): IncidentFilters {
  const { [name]: _, ...others } = filters;
  return value === "" ? others : { ...others, [name]: value };
}

/** Whether nothing but the state is chosen, and so that a view of everybody says the same. */
function isBuiltIn(filters: IncidentFilters): boolean {
  const others = Object.keys(filters).some((name) => name !== "state");
  return !others && VIEWS.some((view) => sameSet(view.state, filters.state ?? []));
}

function sameSet(one: string[], other: string[]): boolean {
  return one.length === other.length && one.every((value) => other.includes(value));
}
