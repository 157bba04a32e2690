// A schedule as a form: its zone, rotations with their hours, stand-ins.
import { ActionIcon, Button, Checkbox, Group, MultiSelect, NativeSelect, NumberInput, Select, TextInput } from "@mantine/core";
import { useId, type ReactNode } from "react";
import type { Layer, Override, ScheduleDocument, TimeWindow, TurnUnit } from "../../api/escalation";
import { faultOf } from "../../api/problem";
import { isZone, timeZones } from "../../lib/preferences";
import { instantIn, wallIn } from "../../lib/zones";
import { t } from "../../texts";
import { IconCross, IconPlus } from "../../ui/icons";
import { Panel } from "../../ui/parts";
import authoring from "../../ui/authoring.module.css";
import { usePeople } from "../incidents/people";
import classes from "./OnCall.module.css";

export type Draft = ScheduleDocument & { name: string };

const UNITS: TurnUnit[] = ["hours", "days", "weeks"];
const DAY_MS = 86_400_000;
const NOBODY = "nobody";

interface ScheduleFormProps {
  draft: Draft;
  error: Error | null;
  onChange: (draft: Draft) => void;
}

export function ScheduleForm({ draft, error, onChange }: ScheduleFormProps) {
  const zones = useId();
  const zone = isZone(draft.time_zone) ? draft.time_zone : "UTC";
  const fresh: Layer = { name: `${t.onCall.layer(draft.layers.length + 1)}`, people: [], starts: `${wallIn(zone, new Date().toISOString()).slice(0, 10)}T09:00`, unit: "weeks", length: 1, windows: [] };
  const standIn = (): Override => ({ person: null, begins: new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000).toISOString(), ends: new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000 + DAY_MS).toISOString() });
  return (
    <>
      <Panel>
        <div className={authoring["grid"]}>
          <TextInput label={t.onCall.name} required maxLength={120} value={draft.name} error={faultOf(error, "/name")} onChange={(event) => onChange({ ...draft, name: event.currentTarget.value })} />
          <TextInput
            label={t.onCall.zone} description={t.onCall.zoneHelp} required maxLength={60} list={zones} value={draft.time_zone} error={faultOf(error, "/time_zone")}
            onChange={(event) => onChange({ ...draft, time_zone: event.currentTarget.value })}
          />
          <datalist id={zones}>{timeZones().map((name) => <option key={name} value={name} />)}</datalist>
        </div>
      </Panel>
      <Panel title={t.onCall.layers} aside={<Add onClick={() => onChange({ ...draft, layers: [...draft.layers, fresh] })}>{t.onCall.addLayer}</Add>}>
        <p className={classes["soft"]}>{t.onCall.layersHelp}</p>
        {draft.layers.map((layer, index) => (
          <LayerFields
            key={index} layer={layer} index={index} error={error} isOnly={draft.layers.length === 1}
            onChange={(next) => onChange({ ...draft, layers: replaced(draft.layers, index, next) })}
            onRemove={() => onChange({ ...draft, layers: draft.layers.filter((_, at) => at !== index) })}
          />
        ))}
      </Panel>
      <Panel title={t.onCall.overrides} aside={<Add onClick={() => onChange({ ...draft, overrides: [...draft.overrides, standIn()] })}>{t.onCall.addOverride}</Add>}>
        <p className={classes["soft"]}>{t.onCall.overridesHelp} {t.onCall.overrideZone(zone)}.</p>
        {draft.overrides.map((one, index) => (
          <OverrideFields
            key={index} override={one} index={index} zone={zone} error={error}
            onChange={(next) => onChange({ ...draft, overrides: replaced(draft.overrides, index, next) })}
            onRemove={() => onChange({ ...draft, overrides: draft.overrides.filter((_, at) => at !== index) })}
          />
        ))}
      </Panel>
    </>
  );
}

function LayerFields({ layer, index, error, isOnly, onChange, onRemove }: { layer: Layer; index: number; error: Error | null; isOnly: boolean; onChange: (layer: Layer) => void; onRemove: () => void }) {
  const people = usePeople();
  const at = `/layers/${index}`;
  const window: TimeWindow = { days: [0, 1, 2, 3, 4], begins: "09:00", ends: "17:00" };
  const peopleFault = faultOf(error, `${at}/people`) ?? layer.people.map((_, place) => faultOf(error, `${at}/people/${place}`)).find((one) => one !== undefined);
  return (
    <fieldset className={authoring["entry"]}>
      <legend className="visually-hidden">{t.onCall.layer(index + 1)}</legend>
      <div className={authoring["entryHead"]}>
        <b>{t.onCall.layer(index + 1)}</b>
        {!isOnly && <Drop name={t.onCall.layer(index + 1)} onClick={onRemove} />}
      </div>
      <div className={authoring["grid"]}>
        <TextInput label={t.onCall.layerName} required maxLength={120} value={layer.name} onChange={(event) => onChange({ ...layer, name: event.currentTarget.value })} />
        <MultiSelect
          label={t.onCall.people} description={t.onCall.peopleHelp} required searchable value={layer.people} error={peopleFault}
          data={people.all.map((person) => ({ value: person.id, label: person.name }))} onChange={(chosen) => onChange({ ...layer, people: chosen })}
        />
        <TextInput
          type="datetime-local" label={t.onCall.starts} description={t.onCall.startsHelp} required value={layer.starts.slice(0, 16)} error={faultOf(error, `${at}/starts`)}
          onChange={(event) => onChange({ ...layer, starts: event.currentTarget.value })}
        />
        <Group gap="xs" wrap="nowrap" align="flex-end">
          <NumberInput label={t.onCall.length} required min={1} max={365} allowDecimal={false} value={layer.length} onChange={(value) => onChange({ ...layer, length: Number(value) || 1 })} />
          <NativeSelect
            label={t.onCall.unit} size="sm" value={layer.unit} data={UNITS.map((value) => ({ value, label: t.onCall.units[value] }))}
            onChange={(event) => onChange({ ...layer, unit: event.currentTarget.value as TurnUnit })}
          />
        </Group>
        <div className={authoring["wide"]}>
          <Group justify="space-between">
            <span>{t.onCall.windows}</span>
            <Add onClick={() => onChange({ ...layer, windows: [...layer.windows, window] })}>{t.onCall.addWindow}</Add>
          </Group>
          {layer.windows.length === 0 && <p className={classes["soft"]}>{t.onCall.windowsHelp}</p>}
          {layer.windows.map((one, place) => (
            <WindowFields
              key={place} window={one} name={`${t.onCall.windows} ${place + 1}`} onChange={(next) => onChange({ ...layer, windows: replaced(layer.windows, place, { ...one, ...next }) })}
              onRemove={() => onChange({ ...layer, windows: layer.windows.filter((_, other) => other !== place) })}
            />
          ))}
        </div>
      </div>
    </fieldset>
  );
}

export function WindowFields({ window, name, onChange, onRemove }: { window: TimeWindow; name: string; onChange: (window: TimeWindow) => void; onRemove?: () => void }) {
  return (
    <div className={classes["row"]} role="group" aria-label={name} style={{ margin: "0.4rem 0" }}>
      <Checkbox.Group label={t.onCall.days} value={window.days.map(String)} onChange={(days) => onChange({ ...window, days: days.map(Number).sort() })}>
        <Group gap="xs" mt={4}>{t.onCall.day.map((day, index) => <Checkbox key={day} size="xs" value={String(index)} label={day.slice(0, 3)} aria-label={day} />)}</Group>
      </Checkbox.Group>
      <TextInput type="time" label={t.onCall.begins} required value={window.begins} onChange={(event) => onChange({ ...window, begins: event.currentTarget.value })} />
      <TextInput type="time" label={t.onCall.ends} title={t.onCall.endsHelp} required value={window.ends} onChange={(event) => onChange({ ...window, ends: event.currentTarget.value })} />
      {onRemove !== undefined && <Drop name={name} onClick={onRemove} />}
    </div>
  );
}

function OverrideFields({ override, index, zone, error, onChange, onRemove }: { override: Override; index: number; zone: string; error: Error | null; onChange: (one: Override) => void; onRemove: () => void }) {
  const people = usePeople();
  const moment = (name: "begins" | "ends") => (event: { currentTarget: { value: string } }) => {
    const at = instantIn(zone, event.currentTarget.value);
    if (at !== null) onChange({ ...override, [name]: at });
  };
  return (
    <div className={classes["row"]} role="group" aria-label={t.onCall.override(index + 1)} style={{ margin: "0.5rem 0" }}>
      <Select
        className={classes["grow"] ?? ""} label={t.onCall.who} searchable allowDeselect={false} value={override.person ?? NOBODY} error={faultOf(error, `/overrides/${index}/person`)}
        data={[{ value: NOBODY, label: t.onCall.nobodyOption }, ...people.all.map((person) => ({ value: person.id, label: person.name }))]}
        onChange={(value) => onChange({ ...override, person: value === null || value === NOBODY ? null : value })}
      />
      <TextInput type="datetime-local" label={t.onCall.from} required value={wallIn(zone, override.begins)} onChange={moment("begins")} />
      <TextInput type="datetime-local" label={t.onCall.to} required value={wallIn(zone, override.ends)} error={faultOf(error, `/overrides/${index}`)} onChange={moment("ends")} />
      <Drop name={t.onCall.override(index + 1)} onClick={onRemove} />
    </div>
  );
}

export function Add({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return <Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} onClick={onClick}>{children}</Button>;
}

export function Drop({ name, onClick }: { name: string; onClick: () => void }) {
  return <ActionIcon variant="subtle" color="gray" size="lg" onClick={onClick} aria-label={t.onCall.removeNamed(name)}><IconCross width="0.9rem" /></ActionIcon>;
}

export function replaced<Item>(items: readonly Item[], index: number, item: Item): Item[] {
  return items.map((one, at) => (at === index ? item : one));
}
