// The API's words about the platform itself: audit, events, health, jobs, tenants beside each other.
import type { components } from "./schema";
import type { Exact, Level, Severity } from "./types";

type Words = components["schemas"];

export type AuditRecord = Words["AuditOut"];

export type DeadLetter = Words["DeadLetter"];
export type ReaderLag = Words["LagOfGroup"];

export type HealthPart = Words["PartHealth"];
export type Health = Exact<Words["Health"], { parts: Record<string, HealthPart> }>;
export type PartStatus = Health["status"];

export type DataExport = Words["ExportOut"];

export type Share = Words["LevelShare"];
export type TenantOverview = Exact<
  Words["TenantOverview"],
  { open: Partial<Record<Severity, number>>; level_shares: Partial<Record<Level, Share>> }
> & {
  /** The tenant's, for lists. */
  id: string;
};
