// The command palette: screens, incidents by number or words, tenants, and what can be done from everywhere.
import { Modal, useMantineColorScheme } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { paletteIncidentsQuery } from "../api/queries";
import { session } from "../api/session";
import type { Incident, Membership } from "../api/types";
import { preferences } from "../lib/preferences";
import type { TenantScope } from "../lib/tenant";
import { t } from "../texts";
import { Chooser, type Choice } from "../ui/Chooser";
import { IconCopy, IconHelp, IconMoon, IconOut, IconRules, IconScreen, IconSettings, IconSun } from "../ui/icons";
import { SeverityShape, StateMark } from "../ui/marks";
import { isOffered, PAGES, SETTINGS_PAGES } from "./pages";
import { useTenantChoices } from "./TenantSwitcher";

const TYPING_MS = 180;

interface PaletteProps {
  tenants: Membership[];
  current: TenantScope | undefined;
  onClose: () => void;
  onHelp: () => void;
}

export function Palette({ tenants, current, onClose, onHelp }: PaletteProps) {
  const [query, setQuery] = useState("");
  const screens = useScreenChoices(current, onClose);
  const actions = useActionChoices(onClose, onHelp);
  const others = useTenantChoices(tenants, current?.id, { query, onChosen: onClose });
  const incidents = useIncidentChoices(current, query, onClose);
  return (
    <Modal.Root opened onClose={onClose} size="lg" yOffset="12dvh">
      <Modal.Overlay backgroundOpacity={0.45} />
      <Modal.Content aria-label={t.palette.open}>
        <Modal.Body p="sm">
          <Chooser
            label={t.palette.open} placeholder={t.palette.placeholder} none={t.palette.none} query={query} onQuery={setQuery}
            choices={[...screens, ...actions, ...others.choices]} found={[...incidents.found, ...(query.trim() === "" ? [] : others.found)]} busy={incidents.busy || (query.trim() !== "" && others.busy)}
          />
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}

function useScreenChoices(current: TenantScope | undefined, onChosen: () => void): Choice[] {
  const router = useRouter();
  if (current === undefined) return [];
  const choice = (page: (typeof PAGES)[number] | (typeof SETTINGS_PAGES)[number], more: Partial<Choice>): Choice => ({
    id: page.to.replace(/[^a-z]+/g, "-"),
    label: page.label,
    group: t.palette.screens,
    href: page.to.replace("$tenant", current.slug),
    run: () => {
      onChosen();
      void router.navigate({ to: page.to, params: { tenant: current.slug } });
    },
    ...more,
  });
  return [
    ...PAGES.filter((page) => isOffered(page, current.permissions)).map((page) => choice(page, { icon: <page.icon />, hint: page.keys })),
    ...SETTINGS_PAGES.filter((page) => isOffered(page, current.permissions)).map((page) => choice(page, { icon: <IconSettings />, words: t.nav.settings })),
  ];
}

function useActionChoices(onChosen: () => void, onHelp: () => void): Choice[] {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { density } = preferences.get();
  const action = (id: string, label: string, icon: Choice["icon"], run: () => void): Choice => ({
    id: `action-${id}`, label, icon, group: t.palette.actions, run: () => {
      onChosen();
      run();
    },
  });
  const schemes = (["light", "dark", "auto"] as const).filter((scheme) => scheme !== colorScheme);
  const other = density === "compact" ? "comfortable" : "compact";
  return [
    ...schemes.map((scheme) =>
      action(`scheme-${scheme}`, t.palette.scheme[scheme], scheme === "dark" ? <IconMoon /> : scheme === "light" ? <IconSun /> : <IconScreen />, () => setColorScheme(scheme)),
    ),
    action("density", t.palette.density[other], <IconRules />, () => preferences.set({ density: other })),
    ...(navigator.clipboard === undefined ? [] : [action("link", t.palette.copyLink, <IconCopy />, () => void navigator.clipboard.writeText(window.location.href))]),
    action("help", t.shell.help, <IconHelp />, onHelp),
    action("out", t.shell.signOut, <IconOut />, () => void session.signOut()),
  ];
}

function useIncidentChoices(current: TenantScope | undefined, query: string, onChosen: () => void): { found: Choice[]; busy: boolean } {
  const router = useRouter();
  const [settled] = useDebouncedValue(query.trim(), TYPING_MS);
  const may = current?.permissions.has("incidents:read") ?? false;
  const { data, isFetching } = useQuery({
    ...paletteIncidentsQuery(current?.id ?? "", settled),
    enabled: may && settled !== "",
    placeholderData: keepPreviousData,
  });
  const found = settled === "" || current === undefined ? [] : (data?.items ?? []);
  return {
    busy: may && query.trim() !== "" && (isFetching || settled !== query.trim()),
    found: found.map((incident: Incident) => ({
      id: incident.id,
      label: `#${incident.number} ${incident.title}`,
      group: t.nav.incidents,
      icon: <SeverityShape severity={incident.severity} />,
      hint: <StateMark state={incident.state} />,
      href: `/t/${current?.slug ?? ""}/incidents/${incident.id}`,
      run: () => {
        onChosen();
        if (current !== undefined) void router.navigate({ to: "/t/$tenant/incidents/$incidentId", params: { tenant: current.slug, incidentId: incident.id } });
      },
    })),
  };
}
