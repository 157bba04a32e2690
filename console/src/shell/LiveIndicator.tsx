// Says whether what is on the page is live: connected, reconnecting or offline, by shape and word.
import { Tooltip } from "@mantine/core";
import { useLiveState } from "../lib/liveFeed";
import { t } from "../texts";
import classes from "./Shell.module.css";

export function LiveIndicator() {
  const state = useLiveState();
  return (
    <Tooltip label={t.live.explain[state]} multiline maw={280}>
      <span className={classes["live"]} data-state={state} role="status" tabIndex={0} aria-label={`${t.live.name[state]}. ${t.live.explain[state]}`}>
        <svg viewBox="0 0 10 10" width="9" height="9" aria-hidden="true">
          {state === "connected" && <circle cx="5" cy="5" r="4.5" fill="currentColor" />}
          {(state === "reconnecting" || state === "connecting") && (
            <circle cx="5" cy="5" r="3.8" fill="none" stroke="currentColor" strokeWidth="1.6" strokeDasharray="4 2.5" />
          )}
          {state === "offline" && <path d="M1.5 1.5l7 7M8.5 1.5l-7 7" stroke="currentColor" strokeWidth="2" />}
        </svg>
        {t.live.name[state]}
      </span>
    </Tooltip>
  );
}
