// Names of the people who may have incidents in hand, as the signed-in person calls them.
import { useQuery } from "@tanstack/react-query";
import { peopleQuery, type Actor, type Person } from "../../api/incidentWork";
import { meQuery } from "../../api/queries";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";

export interface People {
  me: string | null;
  all: Person[];
  nameOf: (id: string) => string;
  nameOfActor: (actor: Actor) => string;
}

export function usePeople(): People {
  const tenant = useTenant();
  const me = useQuery(meQuery(tenant.id)).data?.id ?? null;
  const all = useQuery(peopleQuery(tenant.id)).data ?? [];
  const nameOf = (id: string) => (id === me ? t.work.you : (all.find((person) => person.id === id)?.name ?? t.work.somebody));
  return {
    me,
    all,
    nameOf,
    nameOfActor: ({ actor, name }) => {
      if (me !== null && actor === `user:${me}`) return t.work.you;
      return name ?? (actor.startsWith("key:") ? t.work.program : t.work.somebody);
    },
  };
}
