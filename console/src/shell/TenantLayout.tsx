// One tenant's pages: finds the tenant that the address names, asks what one may do there, opens its live stream.
import { useQuery } from "@tanstack/react-query";
import { Outlet, useParams } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { meQuery } from "../api/queries";
import { LiveFeed } from "../lib/liveFeed";
import { preferences } from "../lib/preferences";
import { rememberTenant, TenantContext, type TenantScope } from "../lib/tenant";
import { t } from "../texts";
import { Empty, Panel, Trouble } from "../ui/parts";
import { ScreenLoading } from "./RouteStates";
import { NotLetIn } from "./NotLetIn";
import { Shell } from "./Shell";
import { useTenants } from "./tenants";

export function TenantLayout() {
  const { tenant: slug } = useParams({ from: "/t/$tenant" });
  const { tenants, error, refetch } = useTenants(slug);
  const membership = tenants?.find((tenant) => tenant.slug === slug);
  const me = useQuery({ ...meQuery(membership?.id), enabled: membership !== undefined });

  useEffect(() => {
    if (membership === undefined) return;
    rememberTenant(membership.slug);
    preferences.rememberTenant(membership.slug);
  }, [membership]);

  const scope = useMemo<TenantScope | null>(
    () => (membership === undefined || me.data === undefined ? null : { ...membership, permissions: new Set(me.data.permissions) }),
    [membership, me.data],
  );

  const failure = error ?? me.error;
  if (failure !== null) {
    return (
      <Shell tenants={tenants ?? []} me={undefined} current={undefined}>
        <Trouble error={failure} onRetry={() => { refetch(); void me.refetch(); }} />
      </Shell>
    );
  }
  if (tenants !== undefined && membership === undefined) {
    return (
      <Shell tenants={tenants} me={undefined} current={undefined}>
        <Panel>
          <Empty title={t.shell.noSuchTenant(slug)}>
            <p>{t.shell.noSuchTenantText}</p>
          </Empty>
        </Panel>
      </Shell>
    );
  }
  if (scope === null || tenants === undefined) {
    return (
      <Shell tenants={[]} me={undefined} current={undefined}>
        <ScreenLoading />
      </Shell>
    );
  }
  const refused = me.data?.refused_because ?? null;
  if (refused !== null) {
    return (
      <Shell tenants={tenants} me={me.data} current={undefined}>
        <NotLetIn reason={refused} onChanged={() => void me.refetch()} />
      </Shell>
    );
  }
  return (
    <TenantContext value={scope}>
      {/* A key of its own: switching the tenant closes the old stream before the new one opens. */}
      <LiveFeed key={scope.id} tenantId={scope.id}>
        <Shell tenants={tenants} me={me.data} current={scope}>
          <Outlet />
        </Shell>
      </LiveFeed>
    </TenantContext>
  );
}
