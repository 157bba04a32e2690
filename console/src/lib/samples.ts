// Figures that are asked for again and again, kept for a while so that a plot has a past.
import { useEffect, useState } from "react";

export interface Sample {
  at: number;
  values: Record<string, number>;
}

const MOST = 400;
const kept = new Map<string, Sample[]>();

/** Adds the newest figures under a name, and returns all that are kept; they outlive the screen. */
export function useSamples(name: string, newest: Sample | undefined): Sample[] {
  const [samples, setSamples] = useState<Sample[]>(() => kept.get(name) ?? []);
  useEffect(() => {
    if (newest === undefined) return;
    const before = kept.get(name) ?? [];
    if (before.at(-1)?.at === newest.at) return;
    const after = [...before, newest].slice(-MOST);
    kept.set(name, after);
    setSamples(after);
  }, [name, newest]);
  return samples;
}
