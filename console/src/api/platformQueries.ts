// What the screens about the platform read: audit, events, dead letters, lag, health, jobs.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import { ApiProblem } from "./problem";
import type { AuditRecord, DataExport, DeadLetter, Health, ReaderLag, TenantOverview } from "./platform";
import type { StoredEvent } from "./types";

export const auditQuery = (tenantId: string, filters: Record<string, string>) => pagesOf<AuditRecord>([tenantId, "audit"], "audit", { tenantId, filters });

export const deadLettersQuery = (tenantId: string) => pagesOf<DeadLetter>([tenantId, "dead-letters"], "events/dead-letters", { tenantId });

/** The stored events, newest first. */
export const storedEventsQuery = (tenantId: string, filters: Record<string, string>) =>
  pagesOf<StoredEvent>([tenantId, "stored-events"], "events", { tenantId, filters: { ...filters, order: "newest" } });

const LAG_MS = 3000;

export const lagQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [tenantId, "lag"],
    queryFn: ({ signal }) => request<{ groups: ReaderLag[] }>("events/lag", { tenantId, signal }),
    refetchInterval: LAG_MS,
  });

const HEALTH_MS = 5000;

/** Health is told to everybody, outside the API's prefix; 503 tells of it, too. */
export const healthQuery = () =>
  queryOptions({
    queryKey: ["health"],
    queryFn: async ({ signal }) => {
      const response = await fetch("/health", { signal }).catch(() => {
        throw ApiProblem.unreachable();
      });
      if (!response.ok && response.status !== 503) throw await ApiProblem.from(response);
      return { health: (await response.json()) as Health, at: Date.now() };
    },
    refetchInterval: HEALTH_MS,
    staleTime: 0,
  });

const EXPORTS_MS = 3000;

export const exportsQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [tenantId, "exports"],
    queryFn: ({ signal }) => request<{ items: DataExport[] }>("exports", { tenantId, signal }),
    refetchInterval: (query) => (query.state.data?.items.some((one) => one.state !== "ready") ? EXPORTS_MS : false),
  });

const TENANTS_MS = 30_000;

export const tenantOverviewsQuery = () =>
  infiniteQueryOptions({
    ...pagesOf<TenantOverview>(["overview-tenants"], "overview/tenants"),
    select: (data) => ({ ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map((item) => ({ ...item, id: item.tenant_id })) })) }),
    refetchInterval: TENANTS_MS,
  });
