// What the screen of brakes reads and does.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { request } from "./client";
import { pagesOf } from "./identityQueries";

export interface Stop {
  id: string;
  reason: string;
  stopped_by: string;
  stopped_by_name: string | null;
  stopped_at: string;
  lifted_at: string | null;
  lifted_by: string | null;
  lifted_by_name: string | null;
  lift_reason: string | null;
}

export interface BrakesNow {
  platform: Stop | null;
  tenant: Stop | null;
  flapping: number;
  breakers: number;
  held: number;
  limits: { name: string; used: number; most: number }[];
}

export interface Flap {
  id: string;
  check_type: string;
  host: string | null;
  site: string | null;
  flaps: number;
  window_seconds: number;
  incident_id: string;
  suppressed_incidents: number;
  since: string;
  cleared_at: string | null;
  cleared_by: string | null;
  cleared_by_name: string | null;
  clear_reason: string | null;
}

export interface Breaker {
  kind: "tool" | "host" | "playbook" | "tenant";
  key: string;
  state: "closed" | "open" | "half_open";
  failures: number;
  open_until: string | null;
  reason: string | null;
  changed_by: string;
  changed_by_name: string | null;
  changed_at: string;
}

export interface Held {
  run_id: string;
  incident_id: string | null;
  incident_number: number | null;
  incident_title: string | null;
  playbook_id: string;
  host: string | null;
  reason: string;
  detail: string;
  until: string;
  since: string;
}

export interface Delegation {
  id: string;
  from_user: string;
  from_name: string | null;
  to_user: string;
  to_name: string | null;
  begins_at: string;
  ends_at: string;
  reason: string;
  is_active: boolean;
}

export interface WhatIf {
  considered: number;
  unproposed: number;
  now: Record<string, number>;
  levels: Record<string, Record<string, number>>;
  raised: { acting: number; healed: number; failed: number };
  by_playbook: { pack_id: string | null; playbook_id: string | null; incidents: number; acting: number; healed: number; failed: number }[];
}

export interface WhatIfIncident {
  id: string;
  number: number;
  title: string;
  now: string | null;
  would: string | null;
  outcome: string | null;
}

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
