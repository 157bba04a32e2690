// Local times of any time zone: what a clock there shows at a moment, and the moment at which it shows something.

interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  formats.set(zone, made);
  return made;
}

function partsIn(zone: string, at: number): Wall {
  const parts = Object.fromEntries(format(zone).formatToParts(at).map((part) => [part.type, Number(part.value)]));
  return { year: parts["year"] ?? 0, month: parts["month"] ?? 1, day: parts["day"] ?? 1, hour: parts["hour"] ?? 0, minute: parts["minute"] ?? 0 };
}

const pad = (value: number) => String(value).padStart(2, "0");

/** What a clock in the zone shows, as an input of the kind datetime-local wants it. */
export function wallIn(zone: string, iso: string): string {
  const wall = partsIn(zone, new Date(iso).getTime());
  return `${wall.year}-${pad(wall.month)}-${pad(wall.day)}T${pad(wall.hour)}:${pad(wall.minute)}`;
}

/** The moment at which a clock in the zone shows something; of two the first, and of none what clocks show instead. */
export function instantIn(zone: string, wall: string): string | null {
  const wanted = Date.parse(`${wall}Z`);
  if (Number.isNaN(wanted)) return null;
  const shownAt = (at: number) => {
    const parts = partsIn(zone, at);
    return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute);
  };
  const offsets = new Set([-DAY_MS, DAY_MS].map((by) => shownAt(wanted + by) - (wanted + by)));
  const fitting = [...offsets].map((offset) => wanted - offset).filter((at) => shownAt(at) === wanted);
  // Left out by a change of the clocks: the offset from before it.
  const at = fitting.length > 0 ? Math.min(...fitting) : wanted - (shownAt(wanted - DAY_MS) - (wanted - DAY_MS));
  return new Date(at).toISOString();
}

const DAY_MS = 86_400_000;

/** The midnights of the zone within a time, so that a plot can show days. */
export function midnights(zone: string, begins: number, ends: number): number[] {
  const found: number[] = [];
  const first = partsIn(zone, begins);
  for (let day = 0; day <= (ends - begins) / DAY_MS + 1; day += 1) {
    const date = new Date(Date.UTC(first.year, first.month - 1, first.day + day));
    const iso = instantIn(zone, `${date.toISOString().slice(0, 10)}T00:00`);
    const at = iso === null ? Number.NaN : Date.parse(iso);
    if (at >= begins && at < ends) found.push(at);
  }
  return found;
}
