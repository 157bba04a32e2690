// A policy with another retention of the audit.
import type { JsonObject } from "../../api/types";
import { asObject } from "../../lib/story";

/** Null keeps records for good. */
export function keeping(policy: JsonObject, days: number | null): JsonObject {
  const { audit_days: _before, ...others } = asObject(policy["retention"]) ?? {};
  const retention: JsonObject = days === null ? others : { ...others, audit_days: days };
  const { retention: _held, ...rest } = policy;
  return Object.keys(retention).length === 0 ? rest : { ...rest, retention };
}
