// The forced change of a one-time password, before anything else can be seen.
import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { session } from "../../api/session";
import { t } from "../../texts";
import { isReady, NewPassword, NOTHING_TYPED } from "../../ui/NewPassword";
import { Trouble } from "../../ui/parts";
import { Door } from "./Door";

export function ChangePassword() {
  const [current, setCurrent] = useState("");
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const change = useMutation({ mutationFn: () => session.changePassword(current, typed.next) });
  const ready = current !== "" && isReady(typed);
  return (
    <Door
      title={t.changePassword.title} lead={t.changePassword.lead} onSubmit={() => ready && change.mutate()}
      foot={<Button variant="subtle" color="gray" size="xs" onClick={() => void session.signOut()}>{t.shell.signOut}</Button>}
    >
      {change.error !== null && <Trouble error={change.error} />}
      <PasswordInput
        label={t.changePassword.current} name="current-password" autoComplete="current-password" required autoFocus
        value={current} onChange={(event) => setCurrent(event.currentTarget.value)}
      />
      <NewPassword value={typed} onChange={setTyped} />
      <Button type="submit" size="md" loading={change.isPending} disabled={!ready}>{t.changePassword.submit}</Button>
    </Door>
  );
}
