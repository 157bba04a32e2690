// Choosing another password with the link of a mail.
import { Anchor, Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { session } from "../../api/session";
import { t } from "../../texts";
import { isReady, NewPassword, NOTHING_TYPED } from "../../ui/NewPassword";
import { Trouble } from "../../ui/parts";
import { Door } from "./Door";
import { DOORS, takeToken } from "./places";

export function Reset() {
  const [token] = useState(takeToken);
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const reset = useMutation({ mutationFn: () => session.resetPassword(token, typed.next) });
  const again = <Anchor href={DOORS.forgotPassword} size="sm">{t.reset.another}</Anchor>;
  if (reset.isSuccess) {
    return (
      <Door title={t.reset.done}>
        <p style={{ margin: 0 }}>{t.reset.doneText}</p>
        <Button component="a" href="/" size="md">{t.signIn.title}</Button>
      </Door>
    );
  }
  if (token === "") return <Door title={t.reset.noToken} foot={again}><p style={{ margin: 0 }}>{t.reset.noTokenText}</p></Door>;
  return (
    <Door title={t.reset.title} lead={t.reset.lead} foot={again} onSubmit={() => isReady(typed) && reset.mutate()}>
      {reset.error !== null && <Trouble error={reset.error} />}
      <NewPassword value={typed} onChange={setTyped} autoFocus />
      <Button type="submit" size="md" loading={reset.isPending} disabled={!isReady(typed)}>{t.changePassword.submit}</Button>
    </Door>
  );
}
