// The tenants that the signed-in person can open: one's memberships, and every tenant for a platform admin.
import { useQuery } from "@tanstack/react-query";
import { meQuery } from "../api/queries";
import type { Me, Membership } from "../api/types";

interface Tenants {
  me: Me | undefined;
  tenants: Membership[] | undefined;
  error: Error | null;
  refetch: () => void;
}

/* Who waits for a first tenant sees it as soon as `fettle demo host` has made it. */
const WAITING_MS = 4000;
const NEWS_MS = 60_000;

export function useTenants(): Tenants {
  const me = useQuery({ ...meQuery(), refetchInterval: (query) => (query.state.data?.tenants.length === 0 ? WAITING_MS : NEWS_MS) });
  return {
    me: me.data,
    tenants: me.data?.tenants,
    error: me.error,
    refetch: () => void me.refetch(),
  };
}
