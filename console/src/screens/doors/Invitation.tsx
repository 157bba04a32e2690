// An invitation: what it is to, and the way in, with an account that one has or a new one.
import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { InvitationLook } from "../../api/identity";
import { session } from "../../api/session";
import { t } from "../../texts";
import { isReady, NewPassword, NOTHING_TYPED } from "../../ui/NewPassword";
import { Lines, Trouble } from "../../ui/parts";
import { Door } from "./Door";
import { takeToken } from "./places";

export function Invitation() {
  const [token] = useState(takeToken);
  const look = useQuery({ queryKey: ["invitation", token], queryFn: () => session.lookAtInvitation(token), enabled: token !== "", staleTime: Infinity });
  if (token === "") return <Door title={t.invitation.noToken}><p style={{ margin: 0 }}>{t.invitation.noTokenText}</p></Door>;
  if (look.error !== null) return <Door title={t.invitation.title}><Trouble error={look.error} /><p style={{ margin: 0 }}>{t.invitation.askAgain}</p></Door>;
  if (look.data === undefined) return <Door title={t.invitation.title}><Lines rows={3} /></Door>;
  return <Accept token={token} invitation={look.data} />;
}

function Accept({ token, invitation }: { token: string; invitation: InvitationLook }) {
  const [name, setName] = useState(invitation.name ?? "");
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const [password, setPassword] = useState("");
  const ready = invitation.has_account ? password !== "" : name.trim() !== "" && isReady(typed);
  const accept = useMutation({
    mutationFn: () => session.acceptInvitation(token, invitation.has_account ? { password } : { name: name.trim(), password: typed.next }),
    onError: () => setPassword(""),
  });
  if (accept.isSuccess) {
    return (
      <Door title={t.invitation.done(invitation.tenant)}>
        <p style={{ margin: 0 }}>{t.invitation.doneText(invitation.email)}</p>
        <Button component="a" href="/" size="md">{t.signIn.title}</Button>
      </Door>
    );
  }
  return (
    <Door title={t.invitation.to(invitation.tenant)} lead={t.invitation.lead(invitation.email, invitation.has_account)} onSubmit={() => ready && accept.mutate()}>
      {accept.error !== null && <Trouble error={accept.error} />}
      {invitation.has_account ? (
        <PasswordInput
          label={t.signIn.password} name="password" autoComplete="current-password" required autoFocus value={password} onChange={(event) => setPassword(event.currentTarget.value)}
        />
      ) : (
        <>
          <TextInput label={t.invitation.name} name="name" size="md" autoComplete="name" required autoFocus maxLength={200} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <NewPassword value={typed} onChange={setTyped} />
        </>
      )}
      <Button type="submit" size="md" loading={accept.isPending} disabled={!ready}>{t.invitation.accept}</Button>
    </Door>
  );
}
