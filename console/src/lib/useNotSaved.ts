// Asks before somebody leaves a page whose changes are not saved.
import { useBlocker } from "@tanstack/react-router";
import { t } from "../texts";

export function useNotSaved(changed: boolean): void {
  useBlocker({
    shouldBlockFn: ({ current, next }) => changed && current.pathname !== next.pathname && !window.confirm(t.editor.leave),
    enableBeforeUnload: changed,
  });
}
