// What the settings read: oneself, people, roles, access.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import type {
  Account, Erasure, IdentityProvider, Member, Partner, PartnerMember, RolesAndPermissions, Security, SignedInSession, SignInPolicy, TenantItem,
} from "./identity";
import type { Page } from "./types";

const PAGE_SIZE = 50;
const ERASURES_MS = 3000;

/** A list that comes page by page; its key begins with what it belongs to. */
export function pagesOf<Item>(key: readonly unknown[], path: string, { tenantId, filters = {} }: { tenantId?: string; filters?: Record<string, string> } = {}) {
  return infiniteQueryOptions({
    queryKey: [...key, filters],
    queryFn: ({ signal, pageParam }) => {
      const query = new URLSearchParams({ ...filters, limit: String(PAGE_SIZE) });
      if (pageParam !== null) query.set("cursor", pageParam);
      return request<Page<Item>>(path, { tenantId, query, signal });
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor ?? null,
  });
}

export const securityQuery = () =>
  queryOptions({ queryKey: ["me", "security"], queryFn: ({ signal }) => request<Security>("me/security", { signal }) });

export const sessionsQuery = () => pagesOf<SignedInSession>(["me", "sessions"], "me/sessions");

export const membersQuery = (tenantId: string, filters: Record<string, string>) => pagesOf<Member>([tenantId, "users"], "users", { tenantId, filters });

export const rolesQuery = (tenantId: string) =>
  queryOptions({ queryKey: [tenantId, "roles"], queryFn: ({ signal }) => request<RolesAndPermissions>("roles", { tenantId, signal }) });

export const providersQuery = (tenantId: string) => pagesOf<IdentityProvider>([tenantId, "identity-providers"], "identity-providers", { tenantId });

export const signInPolicyQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [tenantId, "sign-in-policy"],
    queryFn: ({ signal }) => request<SignInPolicy>(`tenants/${tenantId}/security`, { tenantId, signal }),
  });

export const tenantsQuery = (filters: Record<string, string>) => pagesOf<TenantItem>(["tenants"], "tenants", { filters });
export const partnersQuery = () => pagesOf<Partner>(["partners"], "partners");
export const partnerMembersQuery = (partnerId: string) => pagesOf<PartnerMember>(["partners", partnerId, "members"], `partners/${partnerId}/members`);
export const erasuresQuery = () =>
  queryOptions({
    queryKey: ["erasures"],
    queryFn: ({ signal }) => request<{ items: Erasure[] }>("erasures", { signal }),
    refetchInterval: (query) => (query.state.data?.items.some((one) => one.completed_at === null) ? ERASURES_MS : false),
  });
export const accountsQuery = (filters: Record<string, string>) => pagesOf<Account>(["accounts"], "accounts", { filters });
