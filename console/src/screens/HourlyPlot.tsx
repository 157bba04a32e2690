// Incidents opened and resolved per hour, as a plot and as the table that a screen reader reads.
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisTime, shortDateTime } from "../lib/format";
import { t } from "../texts";
import classes from "./HourlyPlot.module.css";

const HEIGHT = 210;

interface Hour {
  hour: string;
  opened: number;
  resolved: number;
}

export function HourlyPlot({ series }: { series: Hour[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(series);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const made = new uPlot(options(element), columns(latest.current), element);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme]);

  useEffect(() => {
    latest.current = series;
    plot.current?.setData(columns(series));
  }, [series]);

  return (
    <figure className={classes["figure"]}>
      <figcaption className={classes["legend"]}>
        <span data-line="opened">{t.overview.opened}</span>
        <span data-line="resolved">{t.overview.resolved}</span>
      </figcaption>
      <div ref={place} className={classes["plot"]} aria-hidden="true" />
      <div className="visually-hidden">
      <table>
        <caption>{t.overview.perHour}</caption>
        <thead><tr><th>{t.overview.hour}</th><th>{t.overview.opened}</th><th>{t.overview.resolved}</th></tr></thead>
        <tbody>
          {series.map((hour) => (
            <tr key={hour.hour}><th scope="row">{shortDateTime(hour.hour)}</th><td>{hour.opened}</td><td>{hour.resolved}</td></tr>
          ))}
        </tbody>
      </table>
      </div>
    </figure>
  );
}

function columns(series: Hour[]): uPlot.AlignedData {
  return [
    series.map((hour) => Date.parse(hour.hour) / 1000),
    series.map((hour) => hour.opened),
    series.map((hour) => hour.resolved),
  ];
}

function options(element: HTMLElement): uPlot.Options {
  const token = (name: string) => getComputedStyle(element).getPropertyValue(name).trim();
  const axis = {
    stroke: token("--fettle-text-soft"),
    font: `11px ${getComputedStyle(element).fontFamily}`,
    grid: { stroke: token("--fettle-line"), width: 1 },
    ticks: { show: false },
  };
  const line = (label: string, colour: string, more: Partial<uPlot.Series>): uPlot.Series => ({
    label, stroke: colour, width: 2, points: { show: false }, ...more,
  });
  const opened = token("--fettle-high");
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: true, live: true },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(4, Math.ceil((high ?? 0) * 1.1))] } },
    series: [
      { value: (_plot, seconds) => (seconds === null ? "–" : shortDateTime(new Date(seconds * 1000).toISOString())) },
      line(t.overview.opened, opened, { fill: `${opened}22` }),
      line(t.overview.resolved, token("--fettle-accent"), { dash: [5, 4] }),
    ],
    axes: [{ ...axis, size: 32, values: hourLabels }, { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000] }],
  };
}

function hourLabels(_plot: uPlot, splits: number[]): string[] {
  return splits.map((seconds) => axisTime(new Date(seconds * 1000)));
}
