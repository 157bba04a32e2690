// How many events each reader is behind, over the time that one has been looking.
import { useMemo } from "react";
import type { ReaderLag } from "../../api/platform";
import { count } from "../../lib/format";
import { useSamples, type Sample } from "../../lib/samples";
import { t } from "../../texts";
import { TimePlot, type PlotLine } from "../../ui/TimePlot";

const COLOURS = ["--fettle-accent", "--fettle-high", "--fettle-low", "--fettle-medium", "--fettle-critical", "--fettle-good", "--fettle-info"];
const MOST_LINES = COLOURS.length;

export function LagPlot({ tenantId, groups, at }: { tenantId: string; groups: ReaderLag[]; at: number }) {
  const newest = useMemo<Sample>(() => ({ at, values: Object.fromEntries(groups.map((group) => [group.group, group.events])) }), [at, groups]);
  const samples = useSamples(`lag ${tenantId}`, newest);
  const times = useMemo(() => samples.map((sample) => sample.at), [samples]);
  const lines = useMemo<PlotLine[]>(() => {
    const most = (name: string) => Math.max(0, ...samples.map((sample) => sample.values[name] ?? 0));
    const names = groups.map((group) => group.group).sort((one, other) => most(other) - most(one) || one.localeCompare(other));
    return names.slice(0, MOST_LINES).map((name, index) => ({
      label: name, token: COLOURS[index] ?? "--fettle-info", dashed: index % 2 === 1, values: samples.map((sample) => sample.values[name] ?? null),
    }));
  }, [samples, groups]);
  return <TimePlot caption={t.eventLog.behind} times={times} lines={lines} fine show={(value) => (Number.isInteger(value) ? count(value) : "")} />;
}
