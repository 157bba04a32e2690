// The tenants that the signed-in person can open: the first of them by name, and whichever this page and the last ones are about.
import { useQuery } from "@tanstack/react-query";
import { meQuery, myTenantsNamedQuery } from "../api/queries";
import type { Me, Membership } from "../api/types";
import { usePreferences } from "../lib/preferences";

interface Tenants {
  me: Me | undefined;
  tenants: Membership[] | undefined;
  error: Error | null;
  refetch: () => void;
}

/* Who waits for a first tenant sees it as soon as `fettle demo host` has made it. */
const WAITING_MS = 4000;
const NEWS_MS = 60_000;

/** Of who has more tenants than are told at once, the one that is wanted and those opened last are asked for by name. */
export function useTenants(wanted: string | null): Tenants {
  const { recentTenants } = usePreferences();
  const me = useQuery({ ...meQuery(), refetchInterval: (query) => (query.state.data?.tenants.length === 0 ? WAITING_MS : NEWS_MS) });
  const first = me.data?.tenants;
  const missing = [wanted, ...recentTenants].filter((slug, at, all): slug is string => slug !== null && all.indexOf(slug) === at && first?.every((tenant) => tenant.slug !== slug) === true);
  const isNeeded = me.data?.more_tenants === true && missing.length > 0;
  const named = useQuery({ ...myTenantsNamedQuery(missing), enabled: isNeeded });
  const further = isNeeded ? named.data?.items : [];
  return {
    me: me.data,
    tenants: first === undefined || further === undefined ? undefined : [...first, ...further],
    error: me.error ?? (isNeeded ? named.error : null),
    refetch: () => {
      void me.refetch();
      if (isNeeded) void named.refetch();
    },
  };
}
