// Times, durations, shares and counts as people read them, in the chosen zone and the language of the browser.
import { browserTimeZone, preferences } from "./preferences";

type DateStyle = "dateTime" | "short" | "clock" | "hour" | "day";

const STYLES: Record<DateStyle, Intl.DateTimeFormatOptions> = {
  dateTime: { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" },
  short: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" },
  hour: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { month: "short", day: "numeric" },
};

/* Formats cost more to make than to use; they hold until another zone is chosen. */
let formats = new Map<DateStyle, Intl.DateTimeFormat>();
let formatsZone: string | null = null;
const countFormat = new Intl.NumberFormat();

function dateFormat(style: DateStyle): Intl.DateTimeFormat {
  const zone = preferences.get().timeZone;
  if (zone !== formatsZone) {
    formats = new Map();
    formatsZone = zone;
  }
  const known = formats.get(style);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat(undefined, { ...STYLES[style], ...(zone === null ? {} : { timeZone: zone }) });
  formats.set(style, made);
  return made;
}

export function dateTime(iso: string): string {
  return dateFormat("dateTime").format(new Date(iso));
}

export function shortDateTime(iso: string): string {
  return dateFormat("short").format(new Date(iso));
}

export function clockTime(iso: string): string {
  return dateFormat("clock").format(new Date(iso));
}

/** A moment on the axis of a plot: the hour, or the day where one begins. */
export function axisTime(at: Date): string {
  const hour = dateFormat("hour").format(at);
  return hour === "00:00" ? dateFormat("day").format(at) : hour;
}

export function count(value: number): string {
  return countFormat.format(value);
}

/** A share between 0 and 1 as a percentage; one that is tiny or nearly whole keeps a digit, so that it never looks like none or all. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 1) return `${Math.max(0.1, Math.round(value * 10) / 10)} %`;
  if (value > 99 && value < 100) return `${Math.min(99.9, Math.round(value * 10) / 10)} %`;
  return `${Math.round(value)} %`;
}

/** A span as its two largest units: 340 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 3 d 4 h. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(seconds / 3600);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** How long ago, coarse enough to be read at a glance. */
export function ago(iso: string, now: number): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "–";
  if (seconds < -60) return `in ${coarse(-seconds)}`;
  if (seconds < 10) return "just now";
  return `${coarse(seconds)} ago`;
}

export function timeZoneLabel(date: Date = new Date(), zone: string = preferences.get().timeZone ?? browserTimeZone()): string {
  const parts = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(date);
  const offset = parts.find((part) => part.type === "timeZoneName")?.value.replace("GMT", "").replace("-", "−") ?? "";
  return `${zone} (UTC${offset === "" ? "+00:00" : offset})`;
}

/** A name from the API as words: awaiting_approval becomes "Awaiting approval". */
export function words(name: string): string {
  const spaced = name.replaceAll("_", " ").trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** A short name for addresses out of a name for people. */
export function slugOf(name: string): string {
  return name.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 48);
}

function coarse(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
