// Who did something, as people read it: never an id.
import { t } from "../texts";

/** Return a name; for whoever has none here, what they are. */
export function actorName(name: string | null | undefined, actor: string | null | undefined): string {
  if (name !== null && name !== undefined && name !== "") return name;
  const kind = (actor ?? "").split(":", 1)[0] ?? "";
  return t.actors[kind as keyof typeof t.actors] ?? t.actors.user;
}
