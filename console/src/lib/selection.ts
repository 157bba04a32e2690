// Which rows are chosen: one by one, a range with Shift, or all that the filters let through.

export interface Selection {
  ids: ReadonlySet<string>;
  /** The row that was chosen last, from which a range goes. */
  anchor: string | null;
  /** Everything that the filters let through, loaded or not. */
  all: boolean;
}

export const NOTHING: Selection = { ids: new Set(), anchor: null, all: false };

export function toggled(selection: Selection, id: string): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: id, all: false };
}

/** Everything between the row that was chosen last and this one, in the order in which they are shown. */
export function extended(selection: Selection, id: string, shown: readonly string[]): Selection {
  const from = selection.anchor === null ? -1 : shown.indexOf(selection.anchor);
  const to = shown.indexOf(id);
  if (from < 0 || to < 0) return toggled(selection, id);
  const ids = new Set(selection.ids);
  for (const one of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) ids.add(one);
  return { ids, anchor: selection.anchor, all: false };
}

export function everyLoaded(shown: readonly string[]): Selection {
  return { ids: new Set(shown), anchor: null, all: false };
}

export function isEmpty(selection: Selection): boolean {
  return selection.ids.size === 0 && !selection.all;
}
