// How one's own account signs in: password, second factors, passkeys, and where it is signed in now.
import { Button, PasswordInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { securityQuery } from "../../api/identityQueries";
import type { Security as Shown } from "../../api/identity";
import { session } from "../../api/session";
import { dateTime } from "../../lib/format";
import { t } from "../../texts";
import { isReady, NewPassword, NOTHING_TYPED } from "../../ui/NewPassword";
import { Fold, Lines, PageHead, Panel, Trouble } from "../../ui/parts";
import { Authenticator } from "./Authenticator";
import { Passkeys } from "./Passkeys";
import { Sessions } from "./Sessions";
import classes from "./Settings.module.css";

export function Security() {
  return (
    <>
      <title>{t.pageTitle(t.settings.security)}</title>
      <PageHead title={t.settings.security} />
      <SecondFactors />
      <Sessions />
    </>
  );
}

/** Second factors and passkeys; also where a tenant asks for one before it lets anybody in. */
export function SecondFactors({ onChanged }: { onChanged?: () => void }) {
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(securityQuery());
  const changed = () => {
    void client.invalidateQueries({ queryKey: ["me"] });
    onChanged?.();
  };
  if (data === undefined) return error === null ? <Panel><Lines rows={6} /></Panel> : <Trouble error={error} onRetry={() => void refetch()} />;
  return (
    <>
      <Authenticator security={data} onChanged={changed} />
      <Passkeys security={data} onChanged={changed} />
      {onChanged === undefined && <Password security={data} onChanged={changed} />}
    </>
  );
}

function Password({ security, onChanged }: { security: Shown; onChanged: () => void }) {
  return (
    <Panel title={t.signIn.password}>
      <p className={classes["soft"]} style={{ margin: 0 }}>{security.has_password ? t.security.passwordChanged(dateTime(security.password_changed_at)) : t.security.noPassword}</p>
      {security.has_password && <Fold title={t.security.changePassword}><ChangeIt onChanged={onChanged} /></Fold>}
    </Panel>
  );
}

function ChangeIt({ onChanged }: { onChanged: () => void }) {
  const [current, setCurrent] = useState("");
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const change = useMutation({
    mutationFn: () => session.changePassword(current, typed.next),
    onSuccess: () => {
      setCurrent("");
      setTyped(NOTHING_TYPED);
      notifications.show({ message: t.security.passwordDone });
      onChanged();
    },
  });
  const ready = current !== "" && isReady(typed);
  return (
    <form
      className={classes["form"]}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) change.mutate();
      }}
    >
      <p className={classes["soft"]} style={{ margin: 0 }}>{t.security.passwordEnds}</p>
      {change.error !== null && <Trouble error={change.error} />}
      <PasswordInput label={t.security.currentPassword} autoComplete="current-password" required value={current} onChange={(event) => setCurrent(event.currentTarget.value)} />
      <NewPassword value={typed} onChange={setTyped} />
      <div><Button type="submit" loading={change.isPending} disabled={!ready}>{t.security.changePassword}</Button></div>
    </form>
  );
}
