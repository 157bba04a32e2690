// The words of the API about the platform itself: audit, events, health, jobs, tenants beside each other.
import type { Json, JsonObject, Level, Severity, StoredEvent } from "./types";

export interface AuditChange {
  field: string;
  before: Json;
  after: Json;
}

export interface AuditRecord {
  id: string;
  actor: string;
  action: string;
  target_type: string;
  target_id: string | null;
  before: Json;
  after: Json;
  changes: AuditChange[];
  address: string | null;
  request_id: string | null;
  occurred_at: string;
  bundle_id: string | null;
}

export interface DeadLetter {
  id: string;
  consumer_group: string;
  type: string;
  stream_id: string;
  position: number;
  attempts: number;
  last_error: string | null;
  parked_at: string;
}

export interface ReaderLag {
  group: string;
  events: number;
  seconds: number;
  waiting: number;
  dead: number;
}

export type PartStatus = "ok" | "degraded" | "down";

export interface HealthPart {
  status: PartStatus;
  latency_ms: number;
  detail: JsonObject;
}

export interface Health {
  status: PartStatus;
  version: string;
  parts: Record<string, HealthPart>;
}

export type JobState = "queued" | "running" | "succeeded" | "failed";

export interface Job {
  id: string;
  name: string;
  state: JobState;
  progress: number;
  result: JsonObject | null;
  result_href: string | null;
  error: string | null;
  requested_by: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export type EventItem = StoredEvent;

export interface TenantOverview {
  /** The tenant's, for lists. */
  id: string;
  tenant_id: string;
  name: string;
  slug: string;
  open: Partial<Record<Severity, number>>;
  needs_attention: number;
  level_shares: Partial<Record<Level, { count: number; share: number | null; target_from: number; target_to: number }>>;
  median_heal_seconds: number | null;
  exceptions_24h: number;
}
