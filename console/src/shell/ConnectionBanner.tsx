// Says across the page that what one sees may be behind, since when, and what happens next.
import { useEffect, useState } from "react";
import { clockTime } from "../lib/format";
import { useLiveState } from "../lib/liveFeed";
import { t } from "../texts";
import classes from "./Shell.module.css";

/* A short break mends itself before anybody could read about it. */
const PATIENCE_MS = 4000;

export function ConnectionBanner() {
  const state = useLiveState();
  const broken = state === "offline" || state === "reconnecting";
  const [since, setSince] = useState<string | null>(null);
  const [told, setTold] = useState(false);

  useEffect(() => {
    if (!broken) {
      setSince(null);
      setTold(false);
      return undefined;
    }
    setSince((before) => before ?? new Date().toISOString());
    const timer = setTimeout(() => setTold(true), state === "offline" ? 0 : PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [broken, state]);

  // The place for the message is always there, so that what appears in it is read out.
  return (
    <div role="status" className={classes["bannerPlace"]}>
      {broken && told && since !== null && (
        <p className={classes["banner"]} data-state={state}>
          <b>{t.live.banner[state]}</b> {t.live.behindSince(clockTime(since).slice(0, 8))}
        </p>
      )}
    </div>
  );
}
