// What the screen of events shows, as it stands in the address.
import { readTexts, type TextFilters } from "../../lib/addressFilters";

export const VIEWS = ["stream", "dead-letters", "readers"] as const;
export type View = (typeof VIEWS)[number];

export type EventFilters = TextFilters<"view" | "type" | "stream_type" | "stream_id">;

export const readEventFilters = readTexts(["view", "type", "stream_type", "stream_id"] as const);

export function viewOf(filters: EventFilters): View {
  return VIEWS.find((view) => view === filters.view) ?? "stream";
}
