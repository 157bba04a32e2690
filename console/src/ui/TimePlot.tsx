// Figures over time as lines, and as the table that a screen reader reads.
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisTime, clockTime, shortDateTime } from "../lib/format";
import { t } from "../texts";
import classes from "./TimePlot.module.css";

export interface PlotLine {
  label: string;
  /** A colour of the theme, such as --fettle-accent. */
  token: string;
  dashed?: boolean;
  filled?: boolean;
  values: readonly (number | null)[];
}

interface TimePlotProps {
  caption: string;
  /** Milliseconds since 1970. */
  times: readonly number[];
  lines: readonly PlotLine[];
  height?: number;
  /** The least that the upper end of the scale shows. */
  atLeast?: number;
  /** Whether seconds matter on the axis. */
  fine?: boolean;
  show?: (value: number) => string;
}

const HEIGHT = 210;
const MOST_TABLE_ROWS = 48;
const LEAST_SECONDS = 60;
/* One figure makes no line. */
const FEW = 3;

export function TimePlot({ caption, times, lines, height = HEIGHT, atLeast = 4, fine = false, show = String }: TimePlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const data = useMemo<uPlot.AlignedData>(() => [times.map((time) => time / 1000), ...lines.map((line) => [...line.values])], [times, lines]);
  const latest = useRef(data);
  const shape = lines.map((line) => `${line.label} ${line.token}`).join();
  const setUp = useRef({ lines, atLeast, height, fine, show });
  setUp.current = { lines, atLeast, height, fine, show };

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const made = new uPlot(optionsOf(element, setUp.current), latest.current, element);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: setUp.current.height }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme, shape]);

  useEffect(() => {
    latest.current = data;
    plot.current?.setData(data);
  }, [data]);

  const moment = (time: number) => (fine ? clockTime(new Date(time).toISOString()).slice(0, 8) : shortDateTime(new Date(time).toISOString()));
  const first = Math.max(0, times.length - MOST_TABLE_ROWS);
  return (
    <figure className={classes["figure"]}>
      <figcaption className={classes["legend"]}>
        {lines.map((line) => <span key={line.label} data-dashed={line.dashed || undefined} style={{ "--line": `var(${line.token})` } as React.CSSProperties}>{line.label}</span>)}
      </figcaption>
      <div ref={place} className={classes["plot"]} style={{ minHeight: height + 26 }} aria-hidden="true" />
      <div className="visually-hidden">
        <table>
          <caption>{caption}</caption>
          <thead><tr><th>{t.plot.time}</th>{lines.map((line) => <th key={line.label}>{line.label}</th>)}</tr></thead>
          <tbody>
            {times.slice(first).map((time, row) => (
              <tr key={time}><th scope="row">{moment(time)}</th>{lines.map((line) => <td key={line.label}>{told(line.values[first + row], show)}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

function told(value: number | null | undefined, show: (value: number) => string): string {
  return value === null || value === undefined ? "–" : show(value);
}

type SetUp = Required<Pick<TimePlotProps, "lines" | "atLeast" | "height" | "fine" | "show">>;

function optionsOf(element: HTMLElement, { lines, atLeast, height, fine, show }: SetUp): uPlot.Options {
  const token = (name: string) => getComputedStyle(element).getPropertyValue(name).trim();
  const axis = {
    stroke: token("--fettle-text-soft"),
    font: `11px ${getComputedStyle(element).fontFamily}`,
    grid: { stroke: token("--fettle-line"), width: 1 },
    ticks: { show: false },
  };
  const label = (seconds: number) => {
    const at = new Date(seconds * 1000);
    return fine ? clockTime(at.toISOString()).slice(0, 8) : axisTime(at);
  };
  return {
    width: element.clientWidth,
    height,
    legend: { show: true, live: true },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      // A plot that has just begun shows the minutes before it, empty.
      x: { range: (_plot, low, high) => [fine ? Math.min(low ?? 0, (high ?? 0) - LEAST_SECONDS) : (low ?? 0), high ?? 0] },
      y: { range: (_plot, _low, high) => [0, Math.max(atLeast, (high ?? 0) * 1.1)] },
    },
    series: [
      { label: t.plot.time, value: (_plot, seconds) => (seconds === null ? "–" : fine ? label(seconds) : shortDateTime(new Date(seconds * 1000).toISOString())) },
      ...lines.map((line): uPlot.Series => {
        const colour = token(line.token);
        return {
          label: line.label, stroke: colour, width: 2, points: { show: fine && lines[0] !== undefined && lines[0].values.length < FEW }, value: (_plot, value) => told(value, show),
          ...(line.dashed === true ? { dash: [5, 4] } : {}), ...(line.filled === true ? { fill: `${colour}22` } : {}),
        };
      }),
    ],
    axes: [{ ...axis, size: 32, values: (_plot, splits) => splits.map(label) }, { ...axis, size: 52, values: (_plot, splits) => splits.map(show) }],
  };
}
