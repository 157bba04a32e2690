// Keyboard shortcuts: single keys and two-key sequences such as "g i", silent while somebody types.
import { useEffect, useRef } from "react";

export type Shortcuts = Record<string, (event: KeyboardEvent) => void>;

const SEQUENCE_MS = 1200;

/* Until when the second key of a sequence is waited for, by whoever has such a sequence: "g a" is not "a". */
let sequenceUntil = 0;

export function useShortcuts(shortcuts: Shortcuts, enabled = true): void {
  const current = useRef(shortcuts);
  useEffect(() => {
    current.current = shortcuts;
  });
  useEffect(() => {
    if (!enabled) return undefined;
    let pending = "";
    let pendingUntil = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      const now = performance.now();
      const mine = now < pendingUntil;
      const elsewhere = !mine && now < sequenceUntil;
      const action = (mine ? current.current[`${pending} ${event.key}`] : undefined) ?? (elsewhere ? undefined : current.current[event.key]);
      if (mine) sequenceUntil = 0;
      const opens = Object.keys(current.current).some((key) => key.startsWith(`${event.key} `));
      pending = opens ? event.key : "";
      pendingUntil = opens ? now + SEQUENCE_MS : 0;
      if (opens) sequenceUntil = pendingUntil;
      if (action === undefined) return;
      event.preventDefault();
      action(event);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [enabled]);
}

/** A letter with Ctrl, or with Cmd: it counts while one types, too. */
export function useChord(letter: string, run: () => void): void {
  const current = useRef(run);
  useEffect(() => {
    current.current = run;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== letter) return;
      event.preventDefault();
      current.current();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [letter]);
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  // Inside a dialog only its own keys count; Enter and Space belong to whatever control has the focus.
  if (target.isContentEditable || target.closest("input, textarea, select, [role=dialog], [role=menu], [role=listbox]")) {
    return true;
  }
  return (event.key === "Enter" || event.key === " ") && target.closest("a, button, summary") !== null;
}
