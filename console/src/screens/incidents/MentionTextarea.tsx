// A field for many words, in which an @ offers the people of the tenant: arrows choose, Enter or Tab takes, Escape closes.
import { Textarea } from "@mantine/core";
import { useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import type { Person } from "../../api/incidentWork";
import { askedAt, completed, offered } from "../../lib/mentions";
import { t } from "../../texts";
import { usePeople } from "./people";
import classes from "./work.module.css";

interface MentionTextareaProps {
  label: string;
  description: string;
  value: string;
  /** Whether an @ offers anybody. */
  naming: boolean;
  onText: (text: string) => void;
  onName: (person: Person) => void;
  onSubmit: () => void;
}

export function MentionTextarea({ label, description, value, naming, onText, onName, onSubmit }: MentionTextareaProps) {
  const people = usePeople();
  const field = useRef<HTMLTextAreaElement>(null);
  const caretAfter = useRef<number | null>(null);
  const [caret, setCaret] = useState(0);
  const [closedAt, setClosedAt] = useState<number | null>(null);
  const [active, setActive] = useState(0);
  const [focused, setFocused] = useState(false);
  const listId = useId();
  const asked = naming && focused ? askedAt(value, caret) : null;
  const offers = asked === null || asked.from === closedAt ? [] : offered(people.all, asked.wanted);
  const chosen = Math.min(active, offers.length - 1);

  useLayoutEffect(() => {
    if (caretAfter.current === null) return;
    field.current?.setSelectionRange(caretAfter.current, caretAfter.current);
    caretAfter.current = null;
  }, [value]);

  const take = (person: Person) => {
    if (asked === null) return;
    const next = completed(value, caret, asked, person.name);
    caretAfter.current = next.caret;
    setCaret(next.caret);
    onText(next.text);
    onName(person);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      onSubmit();
      return;
    }
    const person = offers[chosen];
    if (person === undefined || asked === null) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") setActive((chosen + (event.key === "ArrowDown" ? 1 : offers.length - 1)) % offers.length);
    else if (event.key === "Enter" || event.key === "Tab") take(person);
    else if (event.key === "Escape") setClosedAt(asked.from);
    else return;
    event.preventDefault();
  };
  const open = offers.length > 0;
  return (
    <div className={classes["naming"]}>
      <Textarea
        ref={field} label={label} description={description} autosize minRows={2} maxRows={14} maxLength={10_000} value={value}
        aria-autocomplete={naming ? "list" : undefined} aria-controls={open ? listId : undefined} aria-activedescendant={open ? `${listId}-${chosen}` : undefined}
        onChange={(event) => {
          onText(event.currentTarget.value);
          setCaret(event.currentTarget.selectionStart);
          setActive(0);
          if (!event.currentTarget.value.includes("@")) setClosedAt(null);
        }}
        onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
        onFocus={() => setFocused(true)} onBlur={() => setFocused(false)} onKeyDown={onKeyDown}
      />
      {open && (
        <ul className={classes["nameOffers"]} id={listId} role="listbox" aria-label={t.work.comments.offered}>
          {offers.map((person, at) => (
            <li
              key={person.id} id={`${listId}-${at}`} role="option" aria-selected={at === chosen}
              onMouseDown={(event) => {
                // The field keeps the focus.
                event.preventDefault();
                take(person);
              }}
            >
              {person.name}
            </li>
          ))}
        </ul>
      )}
      {naming && <p role="status" className="visually-hidden">{open ? t.work.comments.offers(offers.length) : ""}</p>}
    </div>
  );
}
