// The bare address: opens the tenant seen last, or says how to get the first one.
import { Button, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Navigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { request } from "../api/client";
import { session } from "../api/session";
import type { Tenant } from "../api/types";
import { slugOf } from "../lib/format";
import { lastTenant } from "../lib/tenant";
import { t } from "../texts";
import { Command, Empty, Lines, Panel, Trouble } from "../ui/parts";
import { useTenants } from "./tenants";
import { Logo } from "./Logo";
import classes from "../screens/doors/Door.module.css";

export function Home() {
  const { me, tenants, error, refetch } = useTenants(lastTenant());
  if (error !== null) return <Frame><Trouble error={error} onRetry={refetch} /></Frame>;
  if (me === undefined || tenants === undefined) return <Frame><Lines rows={4} /></Frame>;
  const chosen = tenants.find((tenant) => tenant.slug === lastTenant()) ?? tenants[0];
  if (chosen !== undefined) return <Navigate to="/t/$tenant/overview" params={{ tenant: chosen.slug }} replace />;
  return (
    <Frame>
      <Empty title={t.home.noTenant}>
        <p>{t.home.demo}</p>
        <Command>fettle demo host</Command>
        {me.is_platform_admin ? <NewTenant /> : <p>{t.home.askAdmin}</p>}
      </Empty>
    </Frame>
  );
}

function Frame({ children }: { children: ReactNode }) {
  return (
    <main className={classes["door"]}>
      <div className={classes["wide"]}>
        <div className={classes["brand"]}><Logo /></div>
        <Panel>{children}</Panel>
        <Button variant="subtle" color="gray" mt="md" onClick={() => void session.signOut()}>{t.shell.signOut}</Button>
      </div>
    </main>
  );
}

function NewTenant() {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const create = useMutation({
    mutationFn: () => request<Tenant>("tenants", { method: "POST", body: { name, slug: slugOf(name) } }),
    onSuccess: () => client.invalidateQueries(),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Stack gap="sm">
        <p>{t.home.orCreate}</p>
        <TextInput label={t.home.tenantName} value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={100} />
        {create.error !== null && <Trouble error={create.error} />}
        <Button type="submit" loading={create.isPending} disabled={slugOf(name) === ""}>{t.home.create}</Button>
      </Stack>
    </form>
  );
}
