// What the screen of brakes reads and does.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";
import type { components } from "./schema";

type Words = components["schemas"];

export type Stop = Words["StopOut"];
export type BrakesNow = Words["BrakesOut"];
export type Flap = Words["FlapOut"];
export type Breaker = Words["BreakerOut"];
export type Held = Words["HeldOut"];
export type Delegation = Words["DelegationOut"];
export type WhatIf = Words["WhatIfOut"];
export type WhatIfIncident = Words["WhatIfIncident"];

const BANNER_MS = 5000;

export const brakesQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [tenantId, "brakes", "now"],
    queryFn: ({ signal }) => request<BrakesNow>("brakes", { tenantId, signal }),
    refetchInterval: BANNER_MS,
  });

export const stopsQuery = (tenantId: string) => pagesOf<Stop>([tenantId, "brakes", "stops"], "brakes/stops", { tenantId });

export const flapsQuery = (tenantId: string, filters: Record<string, string>) => pagesOf<Flap>([tenantId, "brakes", "flaps"], "brakes/flaps", { tenantId, filters });

/* Lists show what has an id: a breaker is known by its name, a held run by its own. */
export const breakersQuery = (tenantId: string, filters: Record<string, string>) =>
  infiniteQueryOptions({
    ...pagesOf<Breaker>([tenantId, "brakes", "breakers"], "brakes/breakers", { tenantId, filters }),
    select: (data) => ({ ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map((item) => ({ ...item, id: `${item.kind}:${item.key}` })) })) }),
  });

export const heldQuery = (tenantId: string) =>
  infiniteQueryOptions({
    ...pagesOf<Held>([tenantId, "brakes", "held"], "brakes/held", { tenantId }),
    select: (data) => ({ ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map((item) => ({ ...item, id: item.run_id })) })) }),
    refetchInterval: BANNER_MS,
  });

export const delegationsQuery = (tenantId: string) => pagesOf<Delegation>([tenantId, "delegations"], "delegations", { tenantId });

export const whatIfQuery = (tenantId: string) =>
  queryOptions({ queryKey: [tenantId, "what-if"], queryFn: ({ signal }) => request<WhatIf>("autonomy/what-if", { tenantId, signal }) });

export const whatIfIncidentsQuery = (tenantId: string, level: string) =>
  pagesOf<WhatIfIncident>([tenantId, "what-if", "incidents"], "autonomy/what-if/incidents", { tenantId, filters: { level, changed: "true" } });
