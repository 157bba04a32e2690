// Evidence.
import { plural } from "./words";

export const evidenceTexts = {
  evidence: {
    export: "Export the chain",
    chain: "The chain, newest first",
    none: "No evidence yet",
    noneText: "A bundle is sealed for each incident that is resolved or closed.",
    earlier: (n: number) => plural(n, "earlier bundle", "earlier bundles"),
    notYet: "A bundle is sealed when the incident is resolved or closed.",
    sequence: "Number",
    incident: "Incident",
    openIncident: "Open",
    ofAudit: "Records of the audit",
    sealed: "Sealed",
    hash: "Hash",
    previous: "Hash before",
    first: "first of the chain",
    signature: "Signature",
    key: "Key",
    howTo: "It can be verified offline, with the export and the public key alone.",
    toExport: "Export the chain",
    verifyTitle: "Verify it without us",
    verifyText: "Export the chain, then run this anywhere. It names the first bundle that was altered, removed, reordered or signed again.",
  },
};
