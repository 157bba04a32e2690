// Who decided, L1, L2 and L3, each against the share that it is meant to have.
import type { Share } from "../api/platform";
import { LEVELS, type Level } from "../api/types";
import { count, percent } from "../lib/format";
import { t } from "../texts";
import classes from "./Overview.module.css";

export type Shares = Partial<Record<Level, Share>>;

export function LevelShares({ shares }: { shares: Shares }) {
  if (!hasDecided(shares)) return <p className={classes["none"]}>{t.overview.noLevels}</p>;
  return (
    <ul className={classes["shares"]}>
      {LEVELS.map((level) => {
        const { share, count: n, target_from: low, target_to: high } = shares[level] ?? NOTHING;
        return (
          <li key={level}>
            <div className={classes["shareHead"]}>
              <span><b>{level}</b> {t.overview.levelName[level]}</span>
              <span className={classes["shareValue"]}>{percent(share ?? 0)} <span className={classes["shareCount"]}>({count(n)})</span></span>
            </div>
            <div className={classes["shareTrack"]} aria-hidden="true">
              <span className={classes["target"]} style={{ left: `${low * 100}%`, width: `${(high - low) * 100}%` }} />
              <span className={classes["share"]} style={{ width: `${(share ?? 0) * 100}%` }} />
            </div>
            <p className={classes["help"]}>{t.overview.target(low, high, share ?? 0)}</p>
          </li>
        );
      })}
    </ul>
  );
}

const NOTHING: Share = { count: 0, share: null, target_from: 0, target_to: 0 };

/** The three shares in one bar, for a row of a table. */
export function SharesBar({ shares }: { shares: Shares }) {
  if (!hasDecided(shares)) return <span className={classes["soft"]}>–</span>;
  const words = LEVELS.map((level) => `${level} ${percent(shares[level]?.share ?? 0)}`).join(", ");
  return (
    <span className={classes["sharesBar"]} role="img" aria-label={words} title={words}>
      {LEVELS.map((level) => <span key={level} data-level={level} style={{ flexGrow: shares[level]?.share ?? 0 }} />)}
    </span>
  );
}

function hasDecided(shares: Shares): boolean {
  return LEVELS.some((level) => (shares[level]?.count ?? 0) > 0);
}
