// The audit's filters as they stand in the address, and as the API wants them.
import { momentOf, readTexts, type TextFilters } from "../../lib/addressFilters";

export const AUDIT_FILTERS = ["q", "actor", "action", "target_type", "target_id", "from", "to"] as const;
export type AuditFilters = TextFilters<(typeof AUDIT_FILTERS)[number]>;

export const readAuditFilters = readTexts(AUDIT_FILTERS);

export function auditParameters({ from, to, ...texts }: AuditFilters): Record<string, string> {
  const since = momentOf(from);
  // The last day counts whole.
  const until = momentOf(to, 1);
  return { ...(texts as Record<string, string>), ...(since === undefined ? {} : { from: since }), ...(until === undefined ? {} : { to: until }) };
}
