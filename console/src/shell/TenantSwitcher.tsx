// Which tenant the page is about, and the way to another: those opened last first, all of them by search.
import { Button, Popover } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { meQuery, myTenantsQuery } from "../api/queries";
import type { Membership } from "../api/types";
import { usePreferences } from "../lib/preferences";
import type { TenantScope } from "../lib/tenant";
import { t } from "../texts";
import { Chooser, type Choice } from "../ui/Chooser";
import { IconCheck, IconChevron, IconTenant } from "../ui/icons";
import classes from "./Shell.module.css";

const TYPING_MS = 180;

export function TenantSwitcher({ tenants, current }: { tenants: Membership[]; current: TenantScope | undefined }) {
  const [opened, popover] = useDisclosure(false);
  if (tenants.length === 0) return null;
  if (tenants.length === 1 && current !== undefined) return <span className={classes["onlyTenant"]}>{current.name}</span>;
  return (
    <Popover opened={opened} onChange={(open) => (open ? popover.open() : popover.close())} position="bottom-start" width="20rem" trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default" size="xs" className={classes["tenant"] ?? ""} rightSection={<IconChevron width="0.875rem" />} onClick={popover.toggle}
          aria-label={t.shell.switchTenant(current?.name ?? t.shell.noTenant)}
        >
          {current?.name ?? t.shell.noTenant}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t.shell.tenants}>
        <TenantChooser tenants={tenants} current={current} onChosen={popover.close} />
      </Popover.Dropdown>
    </Popover>
  );
}

function TenantChooser({ tenants, current, onChosen }: { tenants: Membership[]; current: TenantScope | undefined; onChosen: () => void }) {
  const [query, setQuery] = useState("");
  const offered = useTenantChoices(tenants, current?.id, { query, onChosen });
  return <Chooser label={t.shell.tenants} placeholder={t.shell.findTenant} none={t.shell.noTenantFound} {...offered} query={query} onQuery={setQuery} />;
}

interface TenantChoices {
  choices: Choice[];
  /** Of who has more tenants than are told at once, those that the platform finds. */
  found: Choice[];
  busy: boolean;
}

/** Every tenant as a choice, the ones opened last in a group of their own before the others. */
export function useTenantChoices(tenants: Membership[], currentId: string | undefined, { query, onChosen }: { query: string; onChosen: () => void }): TenantChoices {
  const router = useRouter();
  const { recentTenants } = usePreferences();
  const searched = useSearchedTenants(query);
  const recent = recentTenants.flatMap((slug) => tenants.filter((tenant) => tenant.slug === slug && tenant.id !== currentId));
  const choice = (tenant: Membership, group: string): Choice => ({
    id: `tenant-${tenant.id}`,
    label: tenant.name,
    words: tenant.slug,
    group,
    icon: tenant.id === currentId ? <IconCheck aria-label={t.shell.currentTenant} /> : <IconTenant />,
    hint: tenant.slug,
    href: `/t/${tenant.slug}/overview`,
    run: () => {
      onChosen();
      void router.navigate({ to: "/t/$tenant/overview", params: { tenant: tenant.slug } });
    },
  });
  const others = (all: readonly Membership[]) => all.filter((tenant) => recent.every((one) => one.id !== tenant.id)).map((tenant) => choice(tenant, t.shell.tenants));
  const opened = recent.map((tenant) => choice(tenant, t.shell.recentTenants));
  if (searched === null) {
    const byName = [...tenants].sort((one, other) => one.name.localeCompare(other.name));
    return { choices: [...opened, ...others(byName)], found: [], busy: false };
  }
  return { choices: opened, found: [...others(searched.tenants), ...(searched.more === null ? [] : [searched.more])], busy: searched.busy };
}

/* Null for whom the tenants that are told at once are all. */
function useSearchedTenants(query: string): { tenants: Membership[]; more: Choice | null; busy: boolean } | null {
  const [settled] = useDebouncedValue(query.trim(), TYPING_MS);
  const isNeeded = useQuery(meQuery()).data?.more_tenants === true;
  const list = useInfiniteQuery({ ...myTenantsQuery(settled), enabled: isNeeded, placeholderData: keepPreviousData });
  if (!isNeeded) return null;
  return {
    tenants: list.data?.pages.flatMap((page) => page.items) ?? [],
    busy: list.isFetching || settled !== query.trim(),
    more: list.hasNextPage ? { id: "tenants-more", label: t.shell.moreTenants, group: t.shell.tenants, icon: <IconChevron />, run: () => void list.fetchNextPage() } : null,
  };
}
