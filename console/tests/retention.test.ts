// What changing how long the audit is kept leaves of the rest of a policy.
import { describe, expect, it } from "vitest";
import { keeping } from "../src/screens/audit/keeping";

const policy = { id: "ours", autonomy: "approve" };

describe("how long records are kept", () => {
  it("is set beside everything else that the policy says", () => {
    expect(keeping(policy, 400)).toEqual({ ...policy, retention: { audit_days: 400 } });
    expect(keeping({ ...policy, retention: { audit_days: 30, other: 1 } }, 90)).toEqual({ ...policy, retention: { audit_days: 90, other: 1 } });
  });

  it("leaves no empty retention behind when records are kept for good", () => {
    expect(keeping({ ...policy, retention: { audit_days: 30 } }, null)).toEqual(policy);
    expect(keeping({ ...policy, retention: { audit_days: 30, other: 1 } }, null)).toEqual({ ...policy, retention: { other: 1 } });
    expect(keeping(policy, null)).toEqual(policy);
  });
});
