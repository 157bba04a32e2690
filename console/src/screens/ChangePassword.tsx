// The forced change of a one-time password, before anything else can be seen.
import { Button, PasswordInput, Stack } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { session } from "../api/session";
import { Logo } from "../shell/Logo";
import classes from "../shell/Door.module.css";
import { t } from "../texts";
import { Trouble } from "../ui/parts";

const SHORTEST = 12;

export function ChangePassword() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const change = useMutation({ mutationFn: () => session.changePassword(current, next) });
  const tooShort = next !== "" && next.length < SHORTEST;
  const differs = again !== "" && again !== next;
  const ready = current !== "" && next.length >= SHORTEST && again === next;
  return (
    <main className={classes["door"]}>
      <title>{t.changePassword.pageTitle}</title>
      <div className={classes["narrow"]}>
        <div className={classes["brand"]}><Logo /></div>
        <form
          className={classes["card"]}
          onSubmit={(event) => {
            event.preventDefault();
            if (ready) change.mutate();
          }}
        >
          <h1>{t.changePassword.title}</h1>
          <p className={classes["lead"]}>{t.changePassword.lead}</p>
          <Stack gap="md">
            {change.error !== null && <Trouble error={change.error} />}
            <PasswordInput
              label={t.changePassword.current} name="current-password" autoComplete="current-password" required autoFocus
              value={current} onChange={(event) => setCurrent(event.currentTarget.value)}
            />
            <PasswordInput
              label={t.changePassword.next} description={t.changePassword.rule(SHORTEST)} name="new-password"
              autoComplete="new-password" required value={next} onChange={(event) => setNext(event.currentTarget.value)}
              error={tooShort ? t.changePassword.tooShort(SHORTEST - next.length) : false}
            />
            <PasswordInput
              label={t.changePassword.again} name="new-password-again" autoComplete="new-password" required
              value={again} onChange={(event) => setAgain(event.currentTarget.value)}
              error={differs ? t.changePassword.differs : false}
            />
            <Button type="submit" size="md" loading={change.isPending} disabled={!ready}>{t.changePassword.submit}</Button>
          </Stack>
        </form>
        <p className={classes["foot"]}>
          <Button variant="subtle" color="gray" size="xs" onClick={() => void session.signOut()}>{t.shell.signOut}</Button>
        </p>
      </div>
    </main>
  );
}
