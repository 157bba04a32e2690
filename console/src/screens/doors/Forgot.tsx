// Asking for a link by which a forgotten password is replaced.
import { Anchor, Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { session } from "../../api/session";
import { t } from "../../texts";
import { Trouble } from "../../ui/parts";
import { Door } from "./Door";

export function Forgot() {
  const [email, setEmail] = useState("");
  const ask = useMutation({ mutationFn: () => session.forgotPassword(email.trim()) });
  const back = <Anchor href="/" size="sm">{t.signIn.toSignIn}</Anchor>;
  if (ask.isSuccess) return <Door title={t.forgot.asked} foot={back}><p style={{ margin: 0 }} role="status">{t.forgot.askedText(email.trim())}</p></Door>;
  return (
    <Door title={t.forgot.title} lead={t.forgot.lead} foot={back} onSubmit={() => ask.mutate()}>
      {ask.error !== null && <Trouble error={ask.error} />}
      <TextInput
        label={t.signIn.email} type="email" name="email" size="md" autoComplete="username" required autoFocus
        value={email} onChange={(event) => setEmail(event.currentTarget.value)}
      />
      <Button type="submit" size="md" loading={ask.isPending}>{t.forgot.submit}</Button>
    </Door>
  );
}
