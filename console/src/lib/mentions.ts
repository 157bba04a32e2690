// People who are named in a comment with an @: whom the text before the caret may mean, and whom a finished text names.

export interface Named {
  id: string;
  name: string;
}

export interface Asked {
  /** Where the @ stands. */
  from: number;
  /** What was typed after it. */
  wanted: string;
}

const LONGEST = 60;
const MOST_OFFERED = 8;

/** The name that is being typed at the caret, if any: an @ at the begin of a word, and no second line after it. */
export function askedAt(text: string, caret: number): Asked | null {
  const before = text.slice(Math.max(0, caret - LONGEST), caret);
  const at = before.lastIndexOf("@");
  if (at < 0 || (at > 0 && !/[\s(]/.test(before.charAt(at - 1)))) return null;
  const wanted = before.slice(at + 1);
  if (/[\n@]/.test(wanted) || /^\s/.test(wanted)) return null;
  return { from: caret - before.length + at, wanted };
}

/** Who may be meant: those with a word of their name that begins so, before those who have it elsewhere. */
export function offered<Person extends Named>(people: readonly Person[], wanted: string): Person[] {
  const sought = wanted.trim().toLowerCase();
  const placed = people.map((person) => ({ person, place: placeOf(person.name.toLowerCase(), sought) })).filter(({ place }) => place !== null);
  return placed.sort((one, other) => one.place! - other.place!).slice(0, MOST_OFFERED).map(({ person }) => person);
}

function placeOf(name: string, sought: string): number | null {
  if (name.startsWith(sought)) return 0;
  if (name.split(/\s+/).some((word) => word.startsWith(sought))) return 1;
  return name.includes(sought) ? 2 : null;
}

/** The text with the name in place of what was typed, and where the caret goes. */
export function completed(text: string, caret: number, asked: Asked, name: string): { text: string; caret: number } {
  const head = `${text.slice(0, asked.from)}@${name} `;
  return { text: head + text.slice(caret).replace(/^ /, ""), caret: head.length };
}

/** Whom the text still names of those who were chosen; the longest name wins where one begins with another. */
export function namedIn(text: string, chosen: readonly Named[]): string[] {
  let rest = text;
  const found: string[] = [];
  for (const { id, name } of [...chosen].sort((one, other) => other.name.length - one.name.length)) {
    const parts = rest.split(`@${name}`);
    if (parts.length === 1 || found.includes(id)) continue;
    found.push(id);
    rest = parts.join("\n");
  }
  return found;
}
