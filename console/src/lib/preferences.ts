// What one person prefers on this browser: time zone, density, tenants opened last. Kept in the browser alone.
import { useSyncExternalStore } from "react";

export const DENSITIES = ["comfortable", "compact"] as const;
export type Density = (typeof DENSITIES)[number];

export interface Preferences {
  /** An IANA name; null for the zone of the browser. */
  timeZone: string | null;
  density: Density;
  recentTenants: readonly string[];
}

const KEY = "fettle-preferences";
const MOST_RECENT = 5;
const USUAL: Preferences = { timeZone: null, density: "comfortable", recentTenants: [] };

let current = read();
const listeners = new Set<() => void>();

export const preferences = {
  get: (): Preferences => current,

  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  set(changes: Partial<Preferences>): void {
    current = { ...current, ...changes };
    try {
      localStorage.setItem(KEY, JSON.stringify(current));
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
    for (const listener of listeners) listener();
  },

  rememberTenant(slug: string): void {
    if (current.recentTenants[0] === slug) return;
    preferences.set({ recentTenants: [slug, ...current.recentTenants.filter((one) => one !== slug)].slice(0, MOST_RECENT) });
  },
};

export function usePreferences(): Preferences {
  return useSyncExternalStore(preferences.subscribe, preferences.get);
}

export function browserTimeZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

export function timeZones(): string[] {
  const known = Intl.supportedValuesOf("timeZone");
  return known.includes("UTC") ? known : ["UTC", ...known];
}

/* What another tab or an older version stored is checked, never trusted. */
export function cleaned(stored: unknown): Preferences {
  if (typeof stored !== "object" || stored === null) return USUAL;
  const given = stored as Partial<Record<keyof Preferences, unknown>>;
  return {
    timeZone: typeof given.timeZone === "string" && isZone(given.timeZone) ? given.timeZone : USUAL.timeZone,
    density: DENSITIES.find((density) => density === given.density) ?? USUAL.density,
    recentTenants: Array.isArray(given.recentTenants)
      ? given.recentTenants.filter((slug): slug is string => typeof slug === "string").slice(0, MOST_RECENT)
      : USUAL.recentTenants,
  };
}

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat(undefined, { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function read(): Preferences {
  try {
    return cleaned(JSON.parse(localStorage.getItem(KEY) ?? "null"));
  } catch {
    return USUAL;
  }
}

if (typeof window !== "undefined") {
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    current = read();
    for (const listener of listeners) listener();
  });
}
