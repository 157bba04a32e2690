// Confidence against what came true: points near the line mean that "80% sure" comes true in 80% of the cases.
import type { Planner } from "../../api/planner";
import { count, percent } from "../../lib/format";
import { t } from "../../texts";
import tables from "../../ui/table.module.css";

const SIZE = 180;
const LARGEST = 9;
const LEAST = 3;

export function ReliabilityPlot({ points }: { points: Planner["calibration"]["points"] }) {
  const most = Math.max(...points.map((point) => point.number));
  return (
    <figure style={{ display: "flex", flexWrap: "wrap", gap: "1.5rem", margin: 0, alignItems: "flex-start" }}>
      <svg viewBox={`-4 -4 ${SIZE + 8} ${SIZE + 8}`} width={SIZE} height={SIZE} aria-hidden="true">
        <rect width={SIZE} height={SIZE} fill="none" stroke="var(--fettle-line, currentColor)" strokeOpacity="0.3" />
        <line x1={0} y1={SIZE} x2={SIZE} y2={0} stroke="currentColor" strokeOpacity="0.4" strokeDasharray="4 4" />
        {points.map((point) => (
          <circle key={point.claimed} cx={point.claimed * SIZE} cy={SIZE - point.came_true * SIZE} r={LEAST + (LARGEST - LEAST) * Math.sqrt(point.number / most)} fill="var(--fettle-accent)" fillOpacity="0.75" />
        ))}
      </svg>
      <div>
        <table className={tables["table"]}>
          <thead><tr><th data-figures>{t.planner.claimed}</th><th data-figures>{t.planner.cameTrue}</th><th data-figures>{t.planner.number}</th></tr></thead>
          <tbody>
            {points.map((point) => (
              <tr key={point.claimed}>
                <td data-figures data-label={t.planner.claimed}>{percent(point.claimed)}</td>
                <td data-figures data-label={t.planner.cameTrue}>{percent(point.came_true)}</td>
                <td data-figures data-label={t.planner.number}>{count(point.number)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <figcaption>{t.planner.curve}</figcaption>
      </div>
    </figure>
  );
}
