// Which tenant the page is about, and the way to another: those opened last first, all of them by search.
import { Button, Popover } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import type { Membership } from "../api/types";
import { usePreferences } from "../lib/preferences";
import type { TenantScope } from "../lib/tenant";
import { t } from "../texts";
import { Chooser, type Choice } from "../ui/Chooser";
import { IconCheck, IconChevron, IconTenant } from "../ui/icons";
import classes from "./Shell.module.css";

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
  const choices = useTenantChoices(tenants, current?.id, onChosen);
  return <Chooser label={t.shell.tenants} placeholder={t.shell.findTenant} none={t.shell.noTenantFound} choices={choices} query={query} onQuery={setQuery} />;
}

/** Every tenant as a choice, the ones opened last in a group of their own before the others. */
export function useTenantChoices(tenants: Membership[], currentId: string | undefined, onChosen: () => void): Choice[] {
  const router = useRouter();
  const { recentTenants } = usePreferences();
  const recent = recentTenants.flatMap((slug) => tenants.filter((tenant) => tenant.slug === slug && tenant.id !== currentId));
  const rest = tenants.filter((tenant) => !recent.includes(tenant)).sort((one, other) => one.name.localeCompare(other.name));
  return [...recent, ...rest].map((tenant) => ({
    id: `tenant-${tenant.id}`,
    label: tenant.name,
    words: tenant.slug,
    group: recent.includes(tenant) ? t.shell.recentTenants : t.shell.tenants,
    icon: tenant.id === currentId ? <IconCheck aria-label={t.shell.currentTenant} /> : <IconTenant />,
    hint: tenant.slug,
    href: `/t/${tenant.slug}/overview`,
    run: () => {
      onChosen();
      void router.navigate({ to: "/t/$tenant/overview", params: { tenant: tenant.slug } });
    },
  }));
}
