// The frame around every screen: header with tenant, live state and person; menu; keyboard help; time zone.
import { ActionIcon, AppShell, Badge, Burger, Button, Menu, NavLink, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, type ReactNode } from "react";
import { approvalsQuery } from "../api/queries";
import { session } from "../api/session";
import type { Me, Membership } from "../api/types";
import { timeZoneLabel } from "../lib/format";
import { useShortcuts } from "../lib/keyboard";
import type { TenantScope } from "../lib/tenant";
import { t } from "../texts";
import {
  IconApprovals, IconCheck, IconChevron, IconEvidence, IconHelp, IconIncidents, IconKey, IconMoon, IconOut, IconOverview, IconRules,
  IconSun, IconUser,
} from "../ui/icons";
import { KeyboardHelp } from "./KeyboardHelp";
import { LiveIndicator } from "./LiveIndicator";
import { Logo } from "./Logo";
import classes from "./Shell.module.css";

interface ShellProps {
  tenants: Membership[];
  me: Me | undefined;
  current: TenantScope | undefined;
  children: ReactNode;
}

export function Shell({ tenants, me, current, children }: ShellProps) {
  const [menuOpen, menu] = useDisclosure(false);
  const [helpOpen, help] = useDisclosure(false);
  const navigate = useNavigate();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const slug = current?.slug;

  const closeMenu = menu.close;
  useEffect(() => closeMenu(), [path, closeMenu]);

  const open = (to: (typeof PAGES)[number]["to"]) => () => {
    if (slug !== undefined) void navigate({ to, params: { tenant: slug } });
  };
  useShortcuts({
    "?": help.open,
    "g o": open("/t/$tenant/overview"),
    "g i": open("/t/$tenant/incidents"),
    "g a": open("/t/$tenant/approvals"),
    "g r": open("/t/$tenant/rules"),
    "g e": open("/t/$tenant/evidence"),
    "g k": open("/t/$tenant/settings/keys"),
  });

  return (
    <AppShell
      header={{ height: "var(--fettle-header-height)" }}
      navbar={{ width: "var(--fettle-nav-width)", breakpoint: "md", collapsed: { mobile: !menuOpen } }}
      padding={{ base: "sm", sm: "lg" }}
      transitionDuration={0}
    >
      <a href="#main" className="skip-link">{t.shell.skip}</a>
      <AppShell.Header className={classes["header"]}>
        <Burger opened={menuOpen} onClick={menu.toggle} hiddenFrom="md" size="sm" aria-label={t.shell.menu} aria-expanded={menuOpen} />
        <Link to="/" className={classes["home"]} aria-label={t.shell.home}><Logo /></Link>
        <TenantSwitcher tenants={tenants} current={current} />
        <div className={classes["spacer"]} />
        {current !== undefined && <LiveIndicator />}
        <ColorSchemeButton />
        <Tooltip label={t.shell.help}>
          <ActionIcon variant="subtle" color="gray" size="lg" onClick={help.open} aria-label={t.shell.help} visibleFrom="xs">
            <IconHelp />
          </ActionIcon>
        </Tooltip>
        <PersonMenu me={me} />
      </AppShell.Header>
      <AppShell.Navbar className={classes["navbar"]} aria-label={t.shell.menu}>
        {current !== undefined && <Pages current={current} path={path} />}
        <div className={classes["zone"]}>
          {t.shell.timesIn}
          <br />
          {timeZoneLabel()}
        </div>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className={classes["main"]}>{children}</AppShell.Main>
      <KeyboardHelp opened={helpOpen} onClose={help.close} />
    </AppShell>
  );
}

const PAGES = [
  { to: "/t/$tenant/overview", label: t.nav.overview, icon: IconOverview, permission: "incidents:read" },
  { to: "/t/$tenant/incidents", label: t.nav.incidents, icon: IconIncidents, permission: "incidents:read" },
  { to: "/t/$tenant/approvals", label: t.nav.approvals, icon: IconApprovals, permission: "incidents:read" },
  { to: "/t/$tenant/rules", label: t.nav.rules, icon: IconRules, permission: "rules:read" },
  { to: "/t/$tenant/evidence", label: t.nav.evidence, icon: IconEvidence, permission: "evidence:read" },
  { to: "/t/$tenant/settings/keys", label: t.nav.keys, icon: IconKey, permission: "keys:read" },
] as const;

function Pages({ current, path }: { current: TenantScope; path: string }) {
  const waiting = useQuery({ ...approvalsQuery(current.id, { state: "pending" }), enabled: current.permissions.has("incidents:read") });
  const waitingCount = waiting.data?.items.length ?? 0;
  return (
    <nav className={classes["pages"]} aria-label={t.shell.pages}>
      {PAGES.filter((page) => current.permissions.has(page.permission)).map((page) => {
        const here = path.startsWith(page.to.replace("$tenant", current.slug));
        return (
          <NavLink
            key={page.to}
            renderRoot={(props: object) => <Link to={page.to} params={{ tenant: current.slug }} {...props} />}
            label={page.label}
            leftSection={<page.icon />}
            active={here}
            aria-current={here ? "page" : undefined}
            className={classes["page"] ?? ""}
            rightSection={
              page.label === t.nav.approvals && waitingCount > 0 ? (
                <Badge size="sm" circle={waitingCount < 10} color="yellow.2" c="dark.8" aria-label={t.nav.waiting(waitingCount)}>{waitingCount}</Badge>
              ) : undefined
            }
          />
        );
      })}
    </nav>
  );
}

function TenantSwitcher({ tenants, current }: { tenants: Membership[]; current: TenantScope | undefined }) {
  if (tenants.length === 0) return null;
  if (tenants.length === 1 && current !== undefined) return <span className={classes["onlyTenant"]}>{current.name}</span>;
  return (
    <Menu position="bottom-start" width="16rem">
      <Menu.Target>
        <Button
          variant="default" size="xs" className={classes["tenant"] ?? ""} rightSection={<IconChevron width="0.875rem" />}
          aria-label={t.shell.switchTenant(current?.name ?? t.shell.noTenant)}
        >
          {current?.name ?? t.shell.noTenant}
        </Button>
      </Menu.Target>
      <Menu.Dropdown className={classes["tenants"] ?? ""}>
        <Menu.Label>{t.shell.tenants}</Menu.Label>
        {tenants.map((tenant) => (
          <Menu.Item
            key={tenant.id}
            renderRoot={(props: object) => <Link to="/t/$tenant/overview" params={{ tenant: tenant.slug }} {...props} />}
            rightSection={tenant.id === current?.id ? <IconCheck width="0.875rem" aria-label={t.shell.currentTenant} /> : undefined}
          >
            {tenant.name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function ColorSchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const next = scheme === "dark" ? "light" : "dark";
  return (
    <Tooltip label={t.shell.scheme[next]}>
      <ActionIcon variant="subtle" color="gray" size="lg" onClick={() => setColorScheme(next)} aria-label={t.shell.scheme[next]}>
        {scheme === "dark" ? <IconSun /> : <IconMoon />}
      </ActionIcon>
    </Tooltip>
  );
}

function PersonMenu({ me }: { me: Me | undefined }) {
  return (
    <Menu position="bottom-end" width="15rem">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t.shell.person}><IconUser /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {me !== undefined && (
          <Menu.Label>
            {me.name || me.email}
            {me.name !== "" && <><br />{me.email}</>}
          </Menu.Label>
        )}
        <Menu.Item leftSection={<IconOut />} onClick={() => void session.signOut()}>{t.shell.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
