// Sign-in with e-mail and password.
import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ApiProblem } from "../api/problem";
import { session } from "../api/session";
import { Logo } from "../shell/Logo";
import classes from "../shell/Door.module.css";
import { t } from "../texts";
import { Trouble } from "../ui/parts";

function isRefused(error: Error): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

export function SignIn() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useMutation({
    mutationFn: () => session.signIn(email.trim(), password),
    onError: () => setPassword(""),
  });
  return (
    <main className={classes["door"]}>
      <title>{t.signIn.pageTitle}</title>
      <div className={classes["narrow"]}>
        <div className={classes["brand"]}><Logo /></div>
        <form
          className={classes["card"]}
          onSubmit={(event) => {
            event.preventDefault();
            signIn.mutate();
          }}
        >
          <h1>{t.signIn.title}</h1>
          <p className={classes["lead"]}>{t.signIn.lead}</p>
          <Stack gap="md">
            {signIn.error !== null && <Trouble error={signIn.error} {...(isRefused(signIn.error) ? { title: t.signIn.refused } : {})} />}
            <TextInput
              label={t.signIn.email} type="email" name="email" size="md" autoComplete="username" required autoFocus
              value={email} onChange={(event) => setEmail(event.currentTarget.value)}
            />
            <PasswordInput
              label={t.signIn.password} name="password" autoComplete="current-password" required
              value={password} onChange={(event) => setPassword(event.currentTarget.value)}
            />
            <Button type="submit" size="md" loading={signIn.isPending}>{t.signIn.submit}</Button>
          </Stack>
        </form>
        <p className={classes["foot"]}>{t.signIn.firstTime}</p>
      </div>
    </main>
  );
}
