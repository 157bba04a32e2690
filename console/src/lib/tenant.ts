// The tenant that the page is about, as its address says, with what the signed-in person may do there.
import { createContext, useContext } from "react";
import type { Membership } from "../api/types";

export interface TenantScope extends Membership {
  permissions: ReadonlySet<string>;
}

export const TenantContext = createContext<TenantScope | null>(null);

export function useTenant(): TenantScope {
  const tenant = useContext(TenantContext);
  if (tenant === null) throw new Error("a tenant's page was rendered outside its tenant");
  return tenant;
}

export function useMay(permission: string): boolean {
  return useTenant().permissions.has(permission);
}

const LAST_TENANT = "fettle-last-tenant";

export function lastTenant(): string | null {
  try {
    return localStorage.getItem(LAST_TENANT);
  } catch {
    return null;
  }
}

export function rememberTenant(slug: string): void {
  try {
    localStorage.setItem(LAST_TENANT, slug);
  } catch {
    // Storage may be forbidden; then the first tenant opens next time.
  }
}
