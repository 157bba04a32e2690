// Every screen that the menu offers, in its groups: where it is, what it needs, which keys open it.
import { t } from "../texts";
import {
  IconApprovals, IconSpark, IconLoop, IconAudit, IconClock, IconIn, IconOut, IconPerson, IconEvents, IconGate, IconHealth, IconPack, IconPause, IconPlay, IconTool, IconEvidence, IconIncidents, IconOverview, IconRules, IconSettings, IconStorm,
} from "../ui/icons";

interface MenuPage {
  to: `/t/$tenant/${string}`;
  label: string;
  icon: typeof IconOverview;
  /** None where everybody may see it. */
  permission: string | null;
  /** Two keys that open it from everywhere. */
  keys: string;
}

interface MenuGroup {
  name: string;
  pages: readonly MenuPage[];
}

/* A screen stands here only when the API has it. */
export const MENU = [
  {
    name: t.nav.groups.work,
    pages: [
      { to: "/t/$tenant/overview", label: t.nav.overview, icon: IconOverview, permission: "incidents:read", keys: "g o" },
      { to: "/t/$tenant/incidents", label: t.nav.incidents, icon: IconIncidents, permission: "incidents:read", keys: "g i" },
      { to: "/t/$tenant/approvals", label: t.nav.approvals, icon: IconApprovals, permission: "incidents:read", keys: "g a" },
      { to: "/t/$tenant/silences", label: t.mutes.title, icon: IconClock, permission: "mutes:read", keys: "g k" },
      { to: "/t/$tenant/storms", label: t.storms.title, icon: IconStorm, permission: "incidents:read", keys: "g z" },
    ],
  },
  {
    name: t.nav.groups.automation,
    pages: [
      { to: "/t/$tenant/sources", label: t.sources.title, icon: IconIn, permission: "sources:read", keys: "g d" },
      { to: "/t/$tenant/rules", label: t.nav.rules, icon: IconRules, permission: "rules:read", keys: "g r" },
      { to: "/t/$tenant/temporal-rules", label: t.temporal.title, icon: IconClock, permission: "rules:read", keys: "g f" },
      { to: "/t/$tenant/flywheel", label: t.flywheel.title, icon: IconLoop, permission: "rules:read", keys: "g w" },
      { to: "/t/$tenant/planner", label: t.planner.title, icon: IconSpark, permission: "planner:read", keys: "g q" },
      { to: "/t/$tenant/playbooks", label: t.playbooks.title, icon: IconPlay, permission: "playbooks:read", keys: "g b" },
      { to: "/t/$tenant/tools", label: t.tools.title, icon: IconTool, permission: "tools:read", keys: "g t" },
      { to: "/t/$tenant/packs", label: t.packs.title, icon: IconPack, permission: "packs:read", keys: "g p" },
      { to: "/t/$tenant/brakes", label: t.brakes.title, icon: IconPause, permission: "brakes:read", keys: "g x" },
      { to: "/t/$tenant/policy", label: t.policy.title, icon: IconGate, permission: "packs:read", keys: "g y" },
    ],
  },
  {
    name: t.onCall.group,
    pages: [
      { to: "/t/$tenant/on-call", label: t.onCall.title, icon: IconClock, permission: "escalation:read", keys: "g c" },
      { to: "/t/$tenant/escalation-policies", label: t.escalations.title, icon: IconPerson, permission: "escalation:read", keys: "g l" },
      { to: "/t/$tenant/channels", label: t.channels.title, icon: IconOut, permission: "escalation:read", keys: "g n" },
      { to: "/t/$tenant/messages", label: t.messages.title, icon: IconAudit, permission: "escalation:read", keys: "g m" },
    ],
  },
  {
    name: t.nav.groups.proof,
    pages: [
      { to: "/t/$tenant/evidence", label: t.nav.evidence, icon: IconEvidence, permission: "evidence:read", keys: "g e" },
      { to: "/t/$tenant/audit", label: t.nav.audit, icon: IconAudit, permission: "audit:read", keys: "g u" },
      { to: "/t/$tenant/events", label: t.nav.events, icon: IconEvents, permission: "events:read", keys: "g v" },
      { to: "/t/$tenant/health", label: t.nav.health, icon: IconHealth, permission: null, keys: "g h" },
    ],
  },
  {
    name: t.nav.groups.settings,
    pages: [{ to: "/t/$tenant/settings", label: t.nav.settings, icon: IconSettings, permission: null, keys: "g s" }],
  },
] as const satisfies readonly MenuGroup[];

export type Page = (typeof MENU)[number]["pages"][number];

export const PAGES: readonly Page[] = MENU.flatMap((group): readonly Page[] => group.pages);

/* Below the settings: what the palette opens and the settings' own menu shows. */
export const SETTINGS = [
  {
    name: t.settings.groups.you,
    pages: [
      { to: "/t/$tenant/settings/profile", label: t.settings.profile, permission: null },
      { to: "/t/$tenant/settings/security", label: t.settings.security, permission: null },
      { to: "/t/$tenant/settings/appearance", label: t.settings.appearance, permission: null },
    ],
  },
  {
    name: t.settings.groups.people,
    pages: [
      { to: "/t/$tenant/settings/users", label: t.settings.users, permission: "users:read" },
      { to: "/t/$tenant/settings/roles", label: t.settings.roles, permission: null },
    ],
  },
  {
    name: t.settings.groups.access,
    pages: [
      { to: "/t/$tenant/settings/keys", label: t.nav.keys, permission: "keys:read" },
      { to: "/t/$tenant/settings/sign-on", label: t.settings.signOn, permission: "sign_on:read" },
      { to: "/t/$tenant/settings/provisioning", label: t.settings.provisioning, permission: "scim:write" },
    ],
  },
  {
    name: t.settings.groups.organisation,
    pages: [
      { to: "/t/$tenant/settings/tenants", label: t.settings.tenants, permission: "tenants:read" },
      { to: "/t/$tenant/settings/data", label: t.settings.data, permission: "data:export" },
    ],
  },
] as const satisfies readonly { name: string; pages: readonly Pick<MenuPage, "to" | "label" | "permission">[] }[];

export type SettingsPage = (typeof SETTINGS)[number]["pages"][number];

export const SETTINGS_PAGES: readonly SettingsPage[] = SETTINGS.flatMap((group): readonly SettingsPage[] => group.pages);

export function isOffered(page: { permission: string | null }, permissions: ReadonlySet<string>): boolean {
  return page.permission === null || permissions.has(page.permission);
}
