// A search field over a list to choose from, by mouse and by keyboard alone: arrows, Home, End, Enter, typed words.
import { Loader, TextInput } from "@mantine/core";
import { Fragment, useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { IconSearch } from "./icons";
import classes from "./Chooser.module.css";

export interface Choice {
  id: string;
  label: string;
  group: string;
  /** Further words by which it is found. */
  words?: string;
  hint?: ReactNode;
  icon?: ReactNode;
  /** Where it leads; it can then be opened in another tab, too. */
  href?: string;
  run: () => void;
}

interface ChooserProps {
  label: string;
  placeholder: string;
  none: string;
  choices: readonly Choice[];
  /** Choices that were searched for elsewhere and stand as they are. */
  found?: readonly Choice[];
  busy?: boolean;
  query: string;
  onQuery: (query: string) => void;
}

export function Chooser({ label, placeholder, none, choices, found = [], busy = false, query, onQuery }: ChooserProps) {
  const id = useId();
  const [active, setActive] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const shown = [...fitting(choices, query), ...found];
  const at = Math.min(active, Math.max(0, shown.length - 1));

  useEffect(() => setActive(0), [query]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const onKeyDown = (event: KeyboardEvent) => {
    const step: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1 + shown.length, Home: 0, End: shown.length - 1 };
    const next = step[event.key];
    if (next !== undefined && shown.length > 0) {
      event.preventDefault();
      setActive(next % shown.length);
    }
    if (event.key === "Enter") {
      event.preventDefault();
      shown[at]?.run();
    }
  };

  const current = shown[at];
  return (
    <div className={classes["chooser"]}>
      <TextInput
        aria-label={label} placeholder={placeholder} value={query} onChange={(event) => onQuery(event.currentTarget.value)} onKeyDown={onKeyDown}
        role="combobox" aria-expanded="true" aria-controls={`${id}-list`} aria-autocomplete="list" autoComplete="off" spellCheck={false} data-autofocus
        aria-activedescendant={current === undefined ? undefined : `${id}-${current.id}`} maxLength={200}
        leftSection={<IconSearch />} rightSection={busy ? <Loader size="xs" /> : null}
      />
      <div ref={list} id={`${id}-list`} role="listbox" aria-label={label} className={classes["list"]}>
        {shown.map((choice, index) => (
          <Fragment key={choice.id}>
            {choice.group !== shown[index - 1]?.group && <div className={classes["group"]} role="presentation">{choice.group}</div>}
            <Option choice={choice} id={`${id}-${choice.id}`} selected={index === at} onHover={() => setActive(index)} />
          </Fragment>
        ))}
      </div>
      <p role="status" className={shown.length === 0 && !busy ? classes["none"] : "visually-hidden"}>{shown.length === 0 && !busy ? none : ""}</p>
    </div>
  );
}

function Option({ choice, id, selected, onHover }: { choice: Choice; id: string; selected: boolean; onHover: () => void }) {
  const content = (
    <>
      <span className={classes["icon"]}>{choice.icon}</span>
      <span className={classes["label"]}>{choice.label}</span>
      {choice.hint !== undefined && <span className={classes["hint"]}>{choice.hint}</span>}
    </>
  );
  const shared = { id, role: "option", "aria-selected": selected, className: classes["option"], tabIndex: -1, onMouseMove: onHover };
  if (choice.href === undefined) return <div {...shared} onClick={choice.run}>{content}</div>;
  return (
    <a
      {...shared} href={choice.href}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        choice.run();
      }}
    >
      {content}
    </a>
  );
}

/** The choices that hold every word of the query, those that begin with it first within their group. */
export function fitting(choices: readonly Choice[], query: string): Choice[] {
  const wanted = folded(query).split(/\s+/).filter((word) => word !== "");
  if (wanted.length === 0) return [...choices];
  const groups = [...new Set(choices.map((choice) => choice.group))];
  const rank = (choice: Choice) => groups.indexOf(choice.group) * 2 + (folded(choice.label).startsWith(wanted[0] ?? "") ? 0 : 1);
  return choices
    .filter((choice) => {
      const text = folded(`${choice.label} ${choice.words ?? ""} ${choice.group}`);
      return wanted.every((word) => text.includes(word));
    })
    .sort((one, other) => rank(one) - rank(other));
}

function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
