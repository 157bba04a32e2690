// The frame around every screen: header with tenant, palette, live state and person; grouped menu; banner; time zone.
import { ActionIcon, AppShell, Badge, Burger, Button, Kbd, NavLink, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { Fragment, lazy, Suspense, useEffect, type ReactNode } from "react";
import { approvalsQuery } from "../api/queries";
import type { Me, Membership } from "../api/types";
import { timeZoneLabel } from "../lib/format";
import { useChord, useShortcuts, type Shortcuts } from "../lib/keyboard";
import { usePreferences } from "../lib/preferences";
import type { TenantScope } from "../lib/tenant";
import { t } from "../texts";
import { IconHelp, IconMoon, IconSearch, IconSun } from "../ui/icons";
import { ConnectionBanner } from "./ConnectionBanner";
import { StopBanner } from "./StopBanner";
import { KeyboardHelp } from "./KeyboardHelp";
import { LiveIndicator } from "./LiveIndicator";
import { Logo } from "./Logo";
import { isOffered, MENU, PAGES, type Page } from "./pages";
import { PersonMenu } from "./PersonMenu";
import { TenantSwitcher } from "./TenantSwitcher";
import { useRouteFocus } from "./useRouteFocus";
import classes from "./Shell.module.css";

const Palette = lazy(() => import("./Palette").then((module) => ({ default: module.Palette })));

interface ShellProps {
  tenants: Membership[];
  me: Me | undefined;
  current: TenantScope | undefined;
  children: ReactNode;
}

export function Shell({ tenants, me, current, children }: ShellProps) {
  const [menuOpen, menu] = useDisclosure(false);
  const [helpOpen, help] = useDisclosure(false);
  const [paletteOpen, palette] = useDisclosure(false);
  const navigate = useNavigate();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const announced = useRouteFocus();
  const { timeZone, density } = usePreferences();

  const closeMenu = menu.close;
  useEffect(() => closeMenu(), [path, closeMenu]);
  useEffect(() => {
    document.documentElement.dataset["density"] = density;
  }, [density]);

  const pageKeys: Shortcuts = {};
  for (const page of PAGES) {
    pageKeys[page.keys] = () => {
      if (current !== undefined && isOffered(page, current.permissions)) void navigate({ to: page.to, params: { tenant: current.slug } });
    };
  }
  useShortcuts({ ...pageKeys, "?": help.open });
  useChord("k", palette.toggle);

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
        <PaletteButton onOpen={palette.open} />
        {current !== undefined && <LiveIndicator />}
        <ColorSchemeButton />
        <Tooltip label={t.shell.help}>
          <ActionIcon variant="subtle" color="gray" size="lg" onClick={help.open} aria-label={t.shell.help} visibleFrom="xs">
            <IconHelp />
          </ActionIcon>
        </Tooltip>
        <PersonMenu me={me} current={current} />
      </AppShell.Header>
      <AppShell.Navbar className={classes["navbar"]} aria-label={t.shell.menu}>
        {current !== undefined && <Pages current={current} path={path} />}
        <Zone current={current} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className={classes["main"]}>
        {current !== undefined && <ConnectionBanner />}
        {current !== undefined && <StopBanner />}
        {/* Another zone makes every time on the page anew. */}
        <Fragment key={timeZone}>{children}</Fragment>
      </AppShell.Main>
      <KeyboardHelp opened={helpOpen} onClose={help.close} />
      {paletteOpen && (
        <Suspense>
          <Palette tenants={tenants} current={current} onClose={palette.close} onHelp={help.open} />
        </Suspense>
      )}
      <p role="status" className="visually-hidden">{announced}</p>
    </AppShell>
  );
}

function Pages({ current, path }: { current: TenantScope; path: string }) {
  const waiting = useQuery({ ...approvalsQuery(current.id, { state: "pending" }), enabled: current.permissions.has("incidents:read") });
  const waitingCount = waiting.data?.items.length ?? 0;
  return (
    <nav className={classes["pages"]} aria-label={t.shell.pages}>
      {MENU.map((group) => {
        const pages = group.pages.filter((page) => isOffered(page, current.permissions));
        if (pages.length === 0) return null;
        return (
          <section key={group.name} aria-label={group.name} className={classes["menuGroup"]}>
            <p className={classes["menuGroupName"]} aria-hidden="true">{group.name}</p>
            {pages.map((page) => (
              <PageLink key={page.to} page={page} slug={current.slug} path={path} waiting={page.label === t.nav.approvals ? waitingCount : 0} />
            ))}
          </section>
        );
      })}
    </nav>
  );
}

function PageLink({ page, slug, path, waiting }: { page: Page; slug: string; path: string; waiting: number }) {
  const here = path === page.to.replace("$tenant", slug) || path.startsWith(`${page.to.replace("$tenant", slug)}/`);
  return (
    <NavLink
      renderRoot={(props: object) => <Link to={page.to} params={{ tenant: slug }} {...props} />}
      label={page.label}
      leftSection={<page.icon />}
      active={here}
      aria-current={here ? "page" : undefined}
      className={classes["page"] ?? ""}
      rightSection={
        waiting > 0 ? (
          <Badge size="sm" circle={waiting < 10} color="yellow.2" c="dark.8" aria-label={t.nav.waiting(waiting)}>{waiting}</Badge>
        ) : undefined
      }
    />
  );
}

function Zone({ current }: { current: TenantScope | undefined }) {
  return (
    <div className={classes["zone"]}>
      {t.shell.timesIn}
      <br />
      {current === undefined ? (
        timeZoneLabel()
      ) : (
        <Link to="/t/$tenant/settings/appearance" params={{ tenant: current.slug }} className={classes["zoneLink"]} title={t.shell.changeZone}>
          {timeZoneLabel()}
        </Link>
      )}
    </div>
  );
}

const ON_APPLE = typeof navigator !== "undefined" && /Mac|iP(hone|ad|od)/.test(navigator.platform);

function PaletteButton({ onOpen }: { onOpen: () => void }) {
  return (
    <>
      <Button
        variant="default" size="xs" className={classes["paletteButton"] ?? ""} onClick={onOpen} visibleFrom="md" leftSection={<IconSearch width="0.95rem" />}
        rightSection={<Kbd size="xs" aria-hidden="true">{t.palette.chord(ON_APPLE)}</Kbd>} aria-keyshortcuts="Control+K Meta+K" title={t.palette.open}
      >
        {t.palette.short}
      </Button>
      <ActionIcon variant="subtle" color="gray" size="lg" onClick={onOpen} aria-label={t.palette.short} hiddenFrom="md"><IconSearch /></ActionIcon>
    </>
  );
}

function ColorSchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const next = scheme === "dark" ? "light" : "dark";
  return (
    <Tooltip label={t.shell.scheme[next]}>
      <ActionIcon variant="subtle" color="gray" size="lg" onClick={() => setColorScheme(next)} aria-label={t.shell.scheme[next]} visibleFrom="xs">
        {scheme === "dark" ? <IconSun /> : <IconMoon />}
      </ActionIcon>
    </Tooltip>
  );
}
