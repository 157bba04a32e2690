// Incidents opened and resolved per hour.
import { useMemo } from "react";
import { count } from "../lib/format";
import { t } from "../texts";
import { TimePlot, type PlotLine } from "../ui/TimePlot";

interface Hour {
  hour: string;
  opened: number;
  resolved: number;
}

export function HourlyPlot({ series }: { series: Hour[] }) {
  const times = useMemo(() => series.map((hour) => Date.parse(hour.hour)), [series]);
  const lines = useMemo<PlotLine[]>(
    () => [
      { label: t.overview.opened, token: "--fettle-high", filled: true, values: series.map((hour) => hour.opened) },
      { label: t.overview.resolved, token: "--fettle-accent", dashed: true, values: series.map((hour) => hour.resolved) },
    ],
    [series],
  );
  return <TimePlot caption={t.overview.perHour} times={times} lines={lines} show={(value) => (Number.isInteger(value) ? count(value) : "")} />;
}
