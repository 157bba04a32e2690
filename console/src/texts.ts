// Every text of the console, in one place, so that another language is another file of this shape.
import type { JsonObject, Level } from "./api/types";

const plural = (n: number, one: string, many: string) => `${n.toLocaleString()} ${n === 1 ? one : many}`;
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const after = (lead: string, value: unknown): string => (text(value) === "" ? "" : `${lead}${text(value)}`);

export const t = {
  pageTitle: (page: string) => `${page} · Fettle`,

  common: {
    loading: "Loading",
    copy: "Copy",
    copied: "Copied",
    close: "Close",
    cancel: "Cancel",
    more: "Load more",
    nothing: "nothing",
    mayNot: "Your role does not let you see this.",
    showJson: (label: string, chars: number) => `Show ${label.toLowerCase()} (${chars.toLocaleString()} characters)`,
  },

  problem: {
    unexpected: "The console failed here",
    unreachableTitle: "Fettle cannot be reached",
    unreachable: "The request did not get through. The platform may be stopped, or the network is down.",
    retry: "Try again",
    requestId: "Request",
    copyRequestId: "Copy the request id",
    titleOf: (status: number) => `The platform answered ${status}`,
    waitSeconds: (seconds: number) => `Wait ${plural(seconds, "second", "seconds")}, then try again.`,
    adviceOf: (status: number): string => {
      if (status === 0) return "Check that Fettle is running (fettle doctor says what is wrong), then try again.";
      if (status === 401) return "Check what you typed. If you were signed in, sign in again.";
      if (status === 403) return "Ask an administrator of this tenant for the permission.";
      if (status === 404) return "It may have been removed, or it belongs to another tenant: check the tenant at the top.";
      if (status === 409) return "Somebody or something was faster. Look at the present state, then decide again.";
      if (status === 422 || status === 400) return "Correct what is named and try again.";
      if (status === 413) return "Send less at once.";
      if (status === 503) return "A part of the platform is not ready. Wait a moment and try again.";
      return "Try again. If it stays, give the request id to whoever runs Fettle.";
    },
  },

  notFound: {
    title: "There is no such page",
    text: "The address may be mistyped, or the page has moved.",
    home: "Go to the overview",
  },

  home: {
    noTenant: "There is no tenant yet",
    demo: "The quickest way to see Fettle work: in a second terminal, watch this machine as a host of a demo tenant. It appears here by itself.",
    orCreate: "Or create a tenant of your own:",
    askAdmin: "Otherwise ask whoever runs Fettle to make you a member of a tenant.",
    tenantName: "Name of the tenant",
    create: "Create the tenant",
  },

  signIn: {
    pageTitle: "Sign in · Fettle",
    title: "Sign in",
    lead: "Self-healing operations that can prove what they did.",
    email: "E-mail",
    password: "Password",
    submit: "Sign in",
    refused: "You are not signed in",
    firstTime: "First time here? The one-time password was printed when Fettle was first started.",
  },

  changePassword: {
    pageTitle: "Choose a password · Fettle",
    title: "Choose your own password",
    lead: "The one-time password has done its work. Choose one that only you know.",
    current: "One-time password",
    next: "New password",
    again: "New password, once more",
    rule: (shortest: number) => `At least ${shortest} characters; several unrelated words are good.`,
    tooShort: (missing: number) => `${plural(missing, "more character", "more characters")} needed`,
    differs: "The two do not match",
    submit: "Set the password",
  },

  shell: {
    home: "Fettle, home",
    skip: "Skip to the content",
    menu: "Menu",
    pages: "Pages",
    tenants: "Tenants",
    noTenant: "Choose a tenant",
    currentTenant: "this one",
    switchTenant: (name: string) => `Tenant: ${name}. Switch`,
    noSuchTenant: (slug: string) => `There is no tenant “${slug}” for you`,
    noSuchTenantText: "The link may be for somebody else. Choose another tenant at the top.",
    person: "You",
    signOut: "Sign out",
    help: "Keyboard shortcuts",
    timesIn: "Times are in",
    scheme: { light: "Use light colours", dark: "Use dark colours" },
  },

  nav: {
    overview: "Overview",
    incidents: "Incidents",
    approvals: "Approvals",
    rules: "Rules",
    evidence: "Evidence",
    keys: "API keys",
    waiting: (n: number) => `${n} waiting`,
  },

  live: {
    name: { connecting: "Connecting", connected: "Live", reconnecting: "Reconnecting", offline: "Offline" },
    explain: {
      connecting: "The live stream is being opened.",
      connected: "What you see changes as it happens.",
      reconnecting: "The live stream broke. It is being opened again and goes on where it stopped; until then this page may be behind.",
      offline: "This browser has no network. What you see is how it was; it catches up when the network is back.",
    },
  },

  keyboard: {
    title: "Keyboard shortcuts",
    groups: [
      {
        name: "Everywhere",
        keys: [
          ["?", "This help"], ["g o", "Overview"], ["g i", "Incidents"], ["g a", "Approvals"], ["g r", "Rules"], ["g e", "Evidence"],
          ["g k", "API keys"],
        ],
      },
      { name: "List of incidents", keys: [["j", "Next incident"], ["k", "Previous incident"], ["Enter", "Open it"], ["/", "Search"]] },
      { name: "Incident", keys: [["u", "Back to where you were"]] },
    ] as { name: string; keys: [string, string][] }[],
  },

  severity: { critical: "Critical", high: "High", medium: "Medium", low: "Low", info: "Info" },

  state: {
    open: "Open",
    triaged: "Triaged",
    planning: "Planning",
    awaiting_approval: "Awaiting approval",
    healing: "Healing",
    verifying: "Verifying",
    escalated: "Needs a person",
    suppressed: "Suppressed",
    resolved: "Resolved",
    closed: "Closed",
  },

  level: { L1: "L1, by rule", L2: "L2, by planner", L3: "L3, by a person", none: "not decided yet" },

  overview: {
    attention: "Needs you now",
    attentionAll: "See all",
    calm: "Nothing needs you",
    calmText: "Incidents that wait for an approval or for a person appear here as they happen.",
    openBySeverity: "Open by severity",
    open: (n: string) => `${n} open`,
    levels: "Who decided",
    lastDays: "last 30 days",
    noLevels: "Nothing was decided in the last 30 days.",
    levelName: { L1: "by rule", L2: "by planner", L3: "by a person" } satisfies Record<Level, string>,
    target: (low: number, high: number, share: number) => {
      const band = `target ${Math.round(low * 100)}–${Math.round(high * 100)} %`;
      if (share < low) return `below the ${band}`;
      if (share > high) return `above the ${band}`;
      return `on the ${band}`;
    },
    perHour: "Opened and resolved per hour",
    opened: "Opened",
    resolved: "Resolved",
    hour: "Hour",
    healTime: "Median time to heal",
    healTimeHelp: "opened to resolved, by rule, 30 days",
    alone: "Healed without a person",
    aloneHelp: "decided at L1 or L2, 30 days",
    noise: "Noise removed",
    noiseHelp: "exceptions that opened nothing new, 24 h",
    day: "Exceptions → incidents",
    dayHelp: "in the last 24 hours",
    dayValue: (exceptions: string, incidents: string) => `${exceptions} → ${incidents}`,
  },

  firstSteps: {
    title: "Nothing is out of order, and nothing reports yet",
    lead: "Fettle waits for exceptions. Two ways to see one heal, live, on this page:",
    demoTitle: "Watch this machine",
    demo: "In a second terminal. It runs real, read-only checks, breaks a sandbox folder of its own and lets Fettle mend it.",
    apiTitle: "Report something through the API",
    api: "With an API key that has the scope exceptions:write.",
    makeKey: "Make one",
    then: "The incident appears here and under Incidents as soon as it is accepted.",
  },

  incidents: {
    filters: "Filters",
    viewsLabel: "Views",
    views: { all: "All", unsettled: "Open", person: "Needs you", settled: "Settled" },
    search: "Search: words, \"phrases\", -without",
    state: "State",
    severity: "Severity",
    level: "Level",
    checkType: "Check type",
    host: "Host",
    clear: "Clear",
    chosen: (label: string, n: number) => `${label}: ${n}`,
    noneFound: "No incident fits these filters",
    noneFoundText: "Check type and host must match in full; the search looks for whole words.",
    columns: {
      severity: "Severity", number: "No.", title: "Incident", state: "State", level: "Level", count: "Times", opened: "Opened", seen: "Last seen",
    },
    showNew: (n: number) => `Show ${plural(n, "new incident", "new incidents")}`,
    loadingMore: "Loading more",
    end: (n: string) => `That is all: ${n} incidents`,
    occurrences: (n: number) => plural(n, "occurrence", "occurrences"),
    export: "Export",
    exportHelp: "All that fit the filters",
    exportAs: { csv: "As CSV", json: "As JSON" },
  },

  incident: {
    happened: "What happened",
    why: "Why it was decided so",
    steps: "What was done",
    evidence: "Evidence",
    timeline: "Timeline",
    order: (n: number, complete: boolean, newestFirst: boolean) =>
      `${complete ? "" : "first "}${plural(n, "event", "events")}, ${newestFirst ? "newest" : "oldest"} first`,
    noEvents: "No events yet",
    opened: "opened",
    resolved: "resolved",
    labels: "Labels",
    details: "Details",
    facts: {
      check: "Check", host: "Host", site: "Site", platform: "Platform", source: "Source", pack: "Pack", seen: "Seen", resolution: "Resolution",
    },
    way: "The way of this incident",
    stages: { opened: "Opened", decided: "Decided", gated: "Gate", acted: "Acted", verified: "Verified", proved: "Proved" },
    stageState: { done: "done", now: "now", waiting: "waits", failed: "failed", ahead: "–" },
    start: "start",
    escalatedNote: "A person must look at this incident.",
    noRule: "No rule matched, so a person decides.",
    notDecided: "Not decided yet.",
    planHash: "Plan hash",
    plan: "The whole plan",
    condition: "Condition",
    found: "Found",
    result: "Result",
    missing: "not there",
    holds: "holds",
    holdsNot: "does not hold",
    gate: "Gate",
    gateWord: (type: string) =>
      ({ "plan.approved": "Let through", "plan.rejected": "Rejected", "approval.requested": "Held for approval", "incident.escalated": "Stopped" })[type] ?? "Decided",
    gateVerdict: (verdict: string) => `trust gate: ${verdict}`,
    by: (actor: string) => `by ${actor}`,
    asNow: "(as the rule is now)",
    others: "How other rules judge it today",
    considered: (considered: number, matched: number) => `${plural(considered, "rule", "rules")} looked at, ${matched.toLocaleString()} matched; the closest are shown`,
    wins: "wins",
    ofPolicy: (level: string) =>
      ({
        observe: "the policy observes only", suggest: "the policy suggests only", approve: "the policy asks for an approval", act: "the policy lets it act",
      })[level] ?? `policy: ${level}`,
    noSignals: "No trust signal stands against it.",
    noSteps: "Nothing was done yet.",
    run: (playbook: string) => (playbook.startsWith("runbook:") ? `Runbook ${playbook.slice(8)}` : `Playbook ${playbook}`),
    earlierRuns: (n: number) => plural(n, "earlier run", "earlier runs"),
    phase: (phase: string) => ({ verify: "verification", rollback: "rollback" })[phase] ?? phase,
    attempts: (n: number) => `${n} attempts`,
    input: "Input",
    output: "Output",
    error: "Error",
    data: "Show the data of this event",
  },

  operator: (name: string) =>
    ({
      eq: "is", ne: "is not", in: "is one of", not_in: "is none of", contains: "contains", not_contains: "does not contain",
      starts_with: "starts with", ends_with: "ends with", regex: "matches", gt: ">", gte: "≥", lt: "<", lte: "≤", between: "is between",
      exists: "is there", not_exists: "is not there", cidr: "is in the network", version_lt: "is older than", version_gte: "is at least version",
    })[name] ?? name,

  actions: {
    resolve: "Resolve",
    close: "Close",
    reopen: "Reopen",
    reason: "Reason",
    reasonHelp: "It stands in the timeline and in the evidence.",
    title: {
      resolve: (n: number) => `Resolve incident ${n}`,
      close: (n: number) => `Close incident ${n}`,
      reopen: (n: number) => `Reopen incident ${n}`,
    },
    consequence: {
      resolve: "You say that it is in order again. If the same is reported once more, the incident reopens by itself.",
      close: "The incident ends here and its evidence is sealed. If the same is reported later, a new incident opens.",
      reopen: "The incident is taken up again and goes to a person.",
    },
    done: {
      resolve: (n: number) => `Incident ${n} is being resolved`,
      close: (n: number) => `Incident ${n} is being closed`,
      reopen: (n: number) => `Incident ${n} is being reopened`,
    },
  },

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

  rules: {
    search: "Search the rules",
    none: "There are no rules",
    noneFound: "No rule fits the search",
    noneText: "Rules come with packs. `fettle packs install` adds one, and `fettle packs activate` puts it to work for a tenant.",
    count: (n: string, more: boolean) => `${n} rules${more ? ", more coming" : ""}`,
    order: "in the order in which they win",
    priority: "Priority",
    rule: "Rule",
    action: "Action",
    source: "Source",
    enabled: "Enabled",
    conditions: "Conditions",
    limits: (attempts: number, cooldownSeconds: number) => `at most ${plural(attempts, "attempt", "attempts")}, rests ${plural(cooldownSeconds, "second", "seconds")} between`,
    dryRun: "Try it on the last 30 days",
    dryRunResult: (matched: number, considered: number, won: number) =>
      `Its conditions hold for ${matched.toLocaleString()} of ${plural(considered, "incident", "incidents")}; it would decide ${won.toLocaleString()}.`,
    truncated: "There are more incidents than were looked at.",
    on: "on",
    off: "off",
  },

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

  keys: {
    make: "Make a key",
    none: "There are no API keys",
    noneText: "A key lets a program report exceptions or read incidents of this tenant. Give it only the scopes that it needs.",
    name: "Name",
    nameHelp: "What will use it, such as “alertmanager”.",
    prefix: "Key",
    scopes: "Scopes",
    scopesHelp: "You can give only what you have.",
    used: "Last used",
    neverUsed: "never",
    expires: "Expires",
    never: "never",
    lifetime: (days: string) => (days === "" ? "Never" : `In ${days} days`),
    made: (name: string) => `Key “${name}”`,
    once: "This is the only time that the key is shown",
    onceText: "Copy it to where it will be used. It cannot be shown again; if it is lost, make another and revoke this one.",
    tryIt: "Try it:",
    kept: "I have kept it",
    revoke: "Revoke",
    revokeName: (name: string) => `Revoke “${name}”`,
    revokeText: "Whatever uses this key is refused at once. This cannot be undone.",
    revoked: (name: string) => `Key “${name}” is revoked`,
  },

  events: {
    "exception.ingested": "An exception was reported",
    "incident.opened": "The incident opened",
    "incident.occurrence_added": "It happened again",
    "incident.reopened": (data: JsonObject) => `Reopened${after(": ", data["reason"])}`,
    "incident.triaged": (data: JsonObject) => `Triaged as ${text(data["severity"])}`,
    "incident.suppressed": (data: JsonObject) => `Suppressed${after(": ", data["reason"])}`,
    "incident.recovery_reported": "Its source says that it is over",
    "incident.resolved": (data: JsonObject) => `Resolved${after(": ", data["resolution"] ?? data["reason"])}`,
    "incident.escalated": (data: JsonObject) => `Handed to a person${after(": ", data["detail"] ?? data["reason"])}`,
    "incident.closed": (data: JsonObject) => `Closed${after(": ", data["resolution"] ?? data["reason"])}`,
    "incident.verification_started": "Verification began",
    "incident.evidence_sealed": "The incident has its evidence",
    "plan.proposed": (data: JsonObject) => `${text(data["level"]) || "A level"} proposed a plan${after(" by rule ", data["rule_id"])}`,
    "plan.approved": (data: JsonObject) => `The plan may go on${data["approved_by"] === "policy" ? " by policy" : after(", approved by ", data["approved_by"])}`,
    "plan.rejected": (data: JsonObject) => `The plan was rejected${after(": ", data["reason"])}`,
    "approval.requested": (data: JsonObject) => `A person is asked to approve${after(": ", data["reason"])}`,
    "approval.decided": (data: JsonObject) => `A step was ${data["decision"] === "rejected" || data["approved"] === false ? "rejected" : "approved"}${after(": ", data["reason"])}`,
    "step.started": (data: JsonObject) => `Step ${stepName(data)} began`,
    "step.succeeded": (data: JsonObject) => `Step ${stepName(data)} succeeded`,
    "step.failed": (data: JsonObject) => `Step ${stepName(data)} failed`,
    "playbook.completed": (data: JsonObject) => `The playbook ended: ${text(data["outcome"]).replaceAll("_", " ")}${after(", ", data["reason"])}`,
    "evidence.sealed": (data: JsonObject) => `Evidence sealed${typeof data["sequence"] === "number" ? ` as number ${data["sequence"]} of the chain` : ""}`,
  } as Record<string, string | ((data: JsonObject) => string)>,
};

function stepName(data: JsonObject): string {
  const name = text(data["title"]) || text(data["path"]) || text(data["step_id"]) || text(data["step"]);
  const tool = text(data["tool"]);
  if (name === "") return tool;
  return tool === "" || name === tool ? `“${name}”` : `“${name}” (${tool})`;
}
