// The addresses of the console: everything about a tenant lies below /t/<slug>, so that a link carries its tenant.
import {
  createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect, type RouterHistory,
} from "@tanstack/react-router";
import { parseSearch, readFilters, stringifySearch } from "./lib/filters";
import { textsOf } from "./lib/search";
import { readAuditFilters } from "./screens/audit/filters";
import { readEventFilters } from "./screens/events/filters";
import { Home } from "./shell/Home";
import { NotFound, RouteTrouble, ScreenLoading } from "./shell/RouteStates";
import { TenantLayout } from "./shell/TenantLayout";

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const home = createRoute({ getParentRoute: () => root, path: "/", component: Home });

const tenant = createRoute({ getParentRoute: () => root, path: "/t/$tenant", component: TenantLayout });

const tenantHome = createRoute({
  getParentRoute: () => tenant,
  path: "/",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/t/$tenant/overview", params, replace: true });
  },
});

const overview = createRoute({
  getParentRoute: () => tenant,
  path: "overview",
  component: lazyRouteComponent(() => import("./screens/Overview"), "Overview"),
});

const incidents = createRoute({
  getParentRoute: () => tenant,
  path: "incidents",
  validateSearch: readFilters,
  component: lazyRouteComponent(() => import("./screens/Incidents"), "Incidents"),
});

const incident = createRoute({
  getParentRoute: () => tenant,
  path: "incidents/$incidentId",
  component: lazyRouteComponent(() => import("./screens/IncidentPage"), "IncidentPage"),
});

const approvals = createRoute({
  getParentRoute: () => tenant,
  path: "approvals",
  validateSearch: textsOf("state", "id"),
  component: lazyRouteComponent(() => import("./screens/Approvals"), "Approvals"),
});

const mutes = createRoute({
  getParentRoute: () => tenant,
  path: "silences",
  validateSearch: textsOf("q", "kind", "state"),
  component: lazyRouteComponent(() => import("./screens/muting/Mutes"), "Mutes"),
});

const storms = createRoute({
  getParentRoute: () => tenant,
  path: "storms",
  validateSearch: textsOf("q", "state", "from", "to"),
  component: lazyRouteComponent(() => import("./screens/muting/Storms"), "Storms"),
});

const rules = createRoute({
  getParentRoute: () => tenant,
  path: "rules",
  validateSearch: textsOf("q", "source", "enabled", "sort"),
  component: lazyRouteComponent(() => import("./screens/Rules"), "Rules"),
});

const newRule = createRoute({
  getParentRoute: () => tenant,
  path: "rules/new",
  validateSearch: textsOf("tab", "as", "incident"),
  component: lazyRouteComponent(() => import("./screens/rules/RulePage"), "NewRule"),
});

const rule = createRoute({
  getParentRoute: () => tenant,
  path: "rules/$ruleId",
  validateSearch: textsOf("tab", "as", "incident"),
  component: lazyRouteComponent(() => import("./screens/rules/RulePage"), "RulePage"),
});

const temporalRules = createRoute({
  getParentRoute: () => tenant,
  path: "temporal-rules",
  validateSearch: textsOf("q", "kind"),
  component: lazyRouteComponent(() => import("./screens/temporal/TemporalRules"), "TemporalRules"),
});

const newTemporalRule = createRoute({
  getParentRoute: () => tenant,
  path: "temporal-rules/new",
  validateSearch: textsOf("tab", "as"),
  component: lazyRouteComponent(() => import("./screens/temporal/TemporalRulePage"), "NewTemporalRule"),
});

const temporalRule = createRoute({
  getParentRoute: () => tenant,
  path: "temporal-rules/$temporalRuleId",
  validateSearch: textsOf("tab", "as", "q"),
  component: lazyRouteComponent(() => import("./screens/temporal/TemporalRulePage"), "TemporalRulePage"),
});

const flywheel = createRoute({
  getParentRoute: () => tenant,
  path: "flywheel",
  validateSearch: textsOf("tab", "q", "state", "id"),
  component: lazyRouteComponent(() => import("./screens/flywheel/Flywheel"), "Flywheel"),
});

const planner = createRoute({
  getParentRoute: () => tenant,
  path: "planner",
  validateSearch: textsOf("tab", "outcome"),
  component: lazyRouteComponent(() => import("./screens/planner/Planner"), "Planner"),
});

const brakes = createRoute({
  getParentRoute: () => tenant,
  path: "brakes",
  validateSearch: textsOf("tab", "q", "state", "level"),
  component: lazyRouteComponent(() => import("./screens/brakes/Brakes"), "Brakes"),
});

const playbooks = createRoute({
  getParentRoute: () => tenant,
  path: "playbooks",
  validateSearch: textsOf("q"),
  component: lazyRouteComponent(() => import("./screens/Playbooks"), "Playbooks"),
});

const newPlaybook = createRoute({
  getParentRoute: () => tenant,
  path: "playbooks/new",
  validateSearch: textsOf("tab", "incident"),
  component: lazyRouteComponent(() => import("./screens/playbooks/PlaybookPage"), "NewPlaybook"),
});

const playbook = createRoute({
  getParentRoute: () => tenant,
  path: "playbooks/$playbookId",
  validateSearch: textsOf("tab", "incident", "run"),
  component: lazyRouteComponent(() => import("./screens/playbooks/PlaybookPage"), "PlaybookPage"),
});

const tools = createRoute({
  getParentRoute: () => tenant,
  path: "tools",
  validateSearch: textsOf("q"),
  component: lazyRouteComponent(() => import("./screens/Tools"), "Tools"),
});

const tool = createRoute({
  getParentRoute: () => tenant,
  path: "tools/$toolName",
  component: lazyRouteComponent(() => import("./screens/tools/ToolPage"), "ToolPage"),
});

const packs = createRoute({
  getParentRoute: () => tenant,
  path: "packs",
  component: lazyRouteComponent(() => import("./screens/Packs"), "Packs"),
});

const pack = createRoute({
  getParentRoute: () => tenant,
  path: "packs/$packId",
  validateSearch: textsOf("tab", "from", "to"),
  component: lazyRouteComponent(() => import("./screens/packs/PackPage"), "PackPage"),
});

const policy = createRoute({
  getParentRoute: () => tenant,
  path: "policy",
  validateSearch: textsOf("tab", "as"),
  component: lazyRouteComponent(() => import("./screens/Policy"), "Policy"),
});

const evidence = createRoute({
  getParentRoute: () => tenant,
  path: "evidence",
  component: lazyRouteComponent(() => import("./screens/Evidence"), "Evidence"),
});

const audit = createRoute({
  getParentRoute: () => tenant,
  path: "audit",
  validateSearch: readAuditFilters,
  component: lazyRouteComponent(() => import("./screens/audit/Audit"), "Audit"),
});

const events = createRoute({
  getParentRoute: () => tenant,
  path: "events",
  validateSearch: readEventFilters,
  component: lazyRouteComponent(() => import("./screens/events/Events"), "Events"),
});

const health = createRoute({
  getParentRoute: () => tenant,
  path: "health",
  component: lazyRouteComponent(() => import("./screens/health/Health"), "Health"),
});

const sources = createRoute({
  getParentRoute: () => tenant,
  path: "sources",
  validateSearch: textsOf("q"),
  component: lazyRouteComponent(() => import("./screens/sources/Sources"), "Sources"),
});

const source = createRoute({
  getParentRoute: () => tenant,
  path: "sources/$sourceId",
  validateSearch: textsOf("tab", "outcome"),
  component: lazyRouteComponent(() => import("./screens/sources/SourcePage"), "SourcePage"),
});

const onCall = createRoute({
  getParentRoute: () => tenant,
  path: "on-call",
  validateSearch: textsOf("tab", "q"),
  component: lazyRouteComponent(() => import("./screens/oncall/OnCall"), "OnCall"),
});

const schedule = createRoute({
  getParentRoute: () => tenant,
  path: "on-call/$scheduleId",
  component: lazyRouteComponent(() => import("./screens/oncall/SchedulePage"), "SchedulePage"),
});

const escalationPolicies = createRoute({
  getParentRoute: () => tenant,
  path: "escalation-policies",
  validateSearch: textsOf("q"),
  component: lazyRouteComponent(() => import("./screens/oncall/Policies"), "EscalationPolicies"),
});

const channels = createRoute({
  getParentRoute: () => tenant,
  path: "channels",
  validateSearch: textsOf("q"),
  component: lazyRouteComponent(() => import("./screens/oncall/Channels"), "Channels"),
});

const messages = createRoute({
  getParentRoute: () => tenant,
  path: "messages",
  validateSearch: textsOf("state", "kind", "channel_id", "incident_id"),
  component: lazyRouteComponent(() => import("./screens/oncall/MessageLog"), "MessageLog"),
});

const settings = createRoute({
  getParentRoute: () => tenant,
  path: "settings",
  component: lazyRouteComponent(() => import("./screens/settings/SettingsLayout"), "SettingsLayout"),
});

const settingsHome = createRoute({
  getParentRoute: () => settings,
  path: "/",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/t/$tenant/settings/profile", params, replace: true });
  },
});

const appearance = createRoute({
  getParentRoute: () => settings,
  path: "appearance",
  component: lazyRouteComponent(() => import("./screens/settings/Appearance"), "Appearance"),
});

const profile = createRoute({
  getParentRoute: () => settings,
  path: "profile",
  component: lazyRouteComponent(() => import("./screens/settings/Profile"), "Profile"),
});

const security = createRoute({
  getParentRoute: () => settings,
  path: "security",
  component: lazyRouteComponent(() => import("./screens/settings/Security"), "Security"),
});

const users = createRoute({
  getParentRoute: () => settings,
  path: "users",
  component: lazyRouteComponent(() => import("./screens/settings/Users"), "Users"),
});

const roles = createRoute({
  getParentRoute: () => settings,
  path: "roles",
  component: lazyRouteComponent(() => import("./screens/settings/Roles"), "Roles"),
});

const keys = createRoute({
  getParentRoute: () => settings,
  path: "keys",
  component: lazyRouteComponent(() => import("./screens/settings/Keys"), "Keys"),
});

const signOn = createRoute({
  getParentRoute: () => settings,
  path: "sign-on",
  component: lazyRouteComponent(() => import("./screens/settings/SignOn"), "SignOn"),
});

const provisioning = createRoute({
  getParentRoute: () => settings,
  path: "provisioning",
  component: lazyRouteComponent(() => import("./screens/settings/Provisioning"), "Provisioning"),
});

const allTenants = createRoute({
  getParentRoute: () => settings,
  path: "tenants",
  component: lazyRouteComponent(() => import("./screens/settings/Tenants"), "Tenants"),
});

const data = createRoute({
  getParentRoute: () => settings,
  path: "data",
  component: lazyRouteComponent(() => import("./screens/settings/Data"), "Data"),
});

const routeTree = root.addChildren([
  home,
  tenant.addChildren([tenantHome, overview, incidents, incident, approvals, mutes, storms, rules, newRule, rule, temporalRules, newTemporalRule, temporalRule, flywheel, planner, brakes, playbooks, newPlaybook, playbook,
    tools, tool, packs, pack, policy, evidence, audit, events, health, sources, source, onCall, schedule, escalationPolicies, channels, messages, settings.addChildren([settingsHome, appearance, profile, security, users, roles, keys, signOn, provisioning, allTenants, data])]),
]);

export function createConsoleRouter(history?: RouterHistory) {
  return createRouter({
    routeTree,
    parseSearch,
    stringifySearch,
    defaultPreload: "intent",
    defaultPendingComponent: ScreenLoading,
    defaultErrorComponent: RouteTrouble,
    defaultNotFoundComponent: NotFound,
    scrollRestoration: true,
    ...(history === undefined ? {} : { history }),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
