// How fast each part answered, and how much work was waiting, over the time that one has been looking.
import { useMemo } from "react";
import type { Health } from "../../api/platform";
import { useSamples, type Sample } from "../../lib/samples";
import { t } from "../../texts";
import { TimePlot, type PlotLine } from "../../ui/TimePlot";

const COLOURS = ["--fettle-accent", "--fettle-high", "--fettle-low", "--fettle-medium"];

export function HealthPlot({ health, at }: { health: Health; at: number }) {
  const newest = useMemo<Sample>(() => {
    const behind = health.parts["bus"]?.detail["events_behind"];
    const latencies = Object.entries(health.parts).map(([name, part]) => [name, part.latency_ms] as const);
    return { at, values: { ...Object.fromEntries(latencies), ...(typeof behind === "number" ? { [BACKLOG]: behind } : {}) } };
  }, [health, at]);
  const samples = useSamples("health", newest);
  const times = useMemo(() => samples.map((sample) => sample.at), [samples]);
  const names = Object.keys(health.parts);
  const latencies = useMemo<PlotLine[]>(
    () => names.map((name, index) => lineOf(samples, name, t.health.part[name] ?? name, COLOURS[index] ?? "--fettle-info", index % 2 === 1)),
    [samples, names.join()],
  );
  const backlog = useMemo<PlotLine[]>(() => [{ ...lineOf(samples, BACKLOG, t.health.backlog, "--fettle-high", false), filled: true }], [samples]);
  // One point makes no line, nor an axis of time.
  if (samples.length < 2) return <p>{t.health.soon}</p>;
  return (
    <>
      <TimePlot caption={t.health.latency} times={times} lines={latencies} fine show={(value) => t.health.ms(value)} />
      <h3>{t.health.backlog}</h3>
      <TimePlot caption={t.health.backlog} times={times} lines={backlog} fine height={140} show={(value) => (Number.isInteger(value) ? String(value) : "")} />
    </>
  );
}

const BACKLOG = "backlog";

function lineOf(samples: Sample[], name: string, label: string, token: string, dashed: boolean): PlotLine {
  return { label, token, dashed, values: samples.map((sample) => sample.values[name] ?? null) };
}
