// Filters that stand in the address as plain texts, always in the same order.

export type TextFilters<Name extends string> = { [name in Name]?: string };

const LONGEST = 200;

/** Reads the named filters; what is empty or unknown is dropped. */
export function readTexts<Name extends string>(names: readonly Name[]): (search: Record<string, unknown>) => TextFilters<Name> {
  return (search) => {
    const filters: TextFilters<Name> = {};
    for (const name of names) {
      const value = search[name];
      const text = typeof value === "string" || typeof value === "number" ? String(value).trim().slice(0, LONGEST) : "";
      if (text !== "") filters[name] = text;
    }
    return filters;
  };
}

/** A day of the calendar in the address as the moment when it begins in the zone of the browser, for the API. */
export function momentOf(day: string | undefined, addDays = 0): string | undefined {
  if (day === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined;
  const at = new Date(`${day}T00:00:00`);
  if (Number.isNaN(at.getTime())) return undefined;
  at.setDate(at.getDate() + addDays);
  return at.toISOString();
}
