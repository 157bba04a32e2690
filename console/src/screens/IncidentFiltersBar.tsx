// The filters above the list; each change stands in the address, so that a link carries it.
import { Button, Checkbox, Group, Popover, Stack, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useRef, useState, type ReactNode, type Ref } from "react";
import { LEVELS, SEVERITIES, STATES, type IncidentState } from "../api/types";
import { isFiltered, type IncidentFilters } from "../lib/filters";
import { useShortcuts } from "../lib/keyboard";
import { t } from "../texts";
import { IconChevron, IconSearch } from "../ui/icons";
import { SeverityMark, StateMark } from "../ui/marks";
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
      <TextFilter name="check_type" filters={filters} onChange={onChange} label={t.incidents.checkType} />
      <TextFilter name="host" filters={filters} onChange={onChange} label={t.incidents.host} />
      {isFiltered(filters) && (
        <Button variant="subtle" size="xs" color="gray" onClick={() => onChange({})}>{t.incidents.clear}</Button>
      )}
    </div>
  );
}

interface TextFilterProps extends BarProps {
  name: "q" | "check_type" | "host";
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

function sameSet(one: string[], other: string[]): boolean {
  return one.length === other.length && one.every((value) => other.includes(value));
}
