// Oneself: name, address, and the tenants that one belongs to.
import { Button, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { request } from "../../api/client";
import { faultOf } from "../../api/problem";
import { meQuery } from "../../api/queries";
import type { Me } from "../../api/types";
import { words } from "../../lib/format";
import { t } from "../../texts";
import { Facts, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

export function Profile() {
  const { data, error, refetch } = useQuery(meQuery());
  return (
    <>
      <title>{t.pageTitle(t.settings.profile)}</title>
      <PageHead title={t.settings.profile} />
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined ? error === null && <Panel><Lines rows={4} /></Panel> : <Known me={data} />}
    </>
  );
}

function Known({ me }: { me: Me }) {
  const client = useQueryClient();
  const [name, setName] = useState(me.name);
  const save = useMutation({
    mutationFn: () => request("me", { method: "PATCH", body: { name: name.trim() } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["me"] });
      notifications.show({ message: t.common.saved });
    },
  });
  return (
    <>
      <Panel title={t.profile.you}>
        <form
          className={classes["form"]}
          onSubmit={(event) => {
            event.preventDefault();
            save.mutate();
          }}
        >
          <TextInput
            label={t.profile.name} description={t.profile.nameHelp} required maxLength={200} autoComplete="name" value={name}
            onChange={(event) => setName(event.currentTarget.value)} error={faultOf(save.error, "/name")}
          />
          {save.error !== null && <Trouble error={save.error} />}
          <Facts items={[[t.signIn.email, me.email ?? "–"], [t.profile.platform, me.is_platform_admin ? t.profile.admin : t.profile.member]]} />
          <div><Button type="submit" loading={save.isPending} disabled={name.trim() === "" || name.trim() === me.name}>{t.common.save}</Button></div>
        </form>
      </Panel>
      <Panel title={t.profile.tenants}>
        <ul className={classes["rows"]}>
          {me.tenants.map((tenant) => (
            <li key={tenant.id}>
              <div className={classes["grow"]}><p><Link to="/t/$tenant/overview" params={{ tenant: tenant.slug }}>{tenant.name}</Link></p></div>
              <span className={classes["soft"]}>{tenant.role === null ? "" : words(tenant.role)}</span>
            </li>
          ))}
        </ul>
      </Panel>
    </>
  );
}
