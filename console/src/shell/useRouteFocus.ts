// After a change of page: the reading place moves to the new page, and its title is read out.
import { useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

/* A lazily loaded screen sets its title a moment after the address has changed. */
const TITLE_MS = 400;

/** Moves the focus where the new page has not taken it itself; returns what is to be announced. */
export function useRouteFocus(): string {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const before = useRef(path);
  const [announced, setAnnounced] = useState("");

  useEffect(() => {
    const moved = before.current !== undefined && before.current !== path;
    before.current = path;
    if (!moved) return undefined;
    const main = document.getElementById("main");
    const focused = document.activeElement;
    // What the new page focused, and a dialog that is still open, keep the focus.
    if (main !== null && !main.contains(focused) && focused?.closest("[role=dialog]") === null) main.focus({ preventScroll: true });
    const timer = setTimeout(() => setAnnounced(document.title), TITLE_MS);
    return () => clearTimeout(timer);
  }, [path]);

  return announced;
}
