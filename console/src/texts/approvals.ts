// Approvals.

export const approvalsTexts = {
  approvals: {
    show: "Show",
    pending: "Waiting",
    all: "All",
    waits: "This waits for your approval",
    none: "Nothing waits for approval",
    noneText: "When the policy or the trust gate holds a plan back, it stands here until somebody approves or rejects it.",
    plan: "Plan",
    asked: "Asked",
    expires: "Expires",
    rule: "Rule",
    ofStep: (path: string) => `A step of a run that is under way asks: ${path}.`,
    suggestion: "The policy lets Fettle suggest only: nothing happens unless you approve.",
    hash: "Plan hash",
    whole: "Everything that you approve",
    approve: "Approve",
    reject: "Reject",
    mayNot: (approvers: string[]) => `Your role does not let you decide this${approvers.length === 0 ? "" : `; one of these may: ${approvers.join(", ")}`}.`,
    consequence: {
      approve: "Fettle carries out exactly this plan, then checks whether it helped. If the plan has changed since, nothing is done.",
      reject: "Nothing is done. The incident goes to a person.",
    },
    done: { approve: "Approved; the plan starts", reject: "Rejected; the incident goes to a person" },
    decided: (by: string, reason: string) => `Decided by ${by}${reason === "" ? "" : `: ${reason}`}`,
  },
};
