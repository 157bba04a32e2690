// Invitations to a tenant or to a partner: asking somebody in, sending again, taking back.
import { Button, Group, Modal, NativeSelect, Stack, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { InvitationItem, InvitationMade } from "../../api/identity";
import { pagesOf } from "../../api/identityQueries";
import { faultOf } from "../../api/problem";
import { words } from "../../lib/format";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { Listing, unseen } from "../../ui/Listing";
import { Ago, Command, Notice, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

const USUAL_ROLE = "viewer";

/** What somebody is invited to. */
export interface InvitationPlace {
  path: string;
  key: readonly string[];
  tenantId?: string;
}

export function ofTenant(tenantId: string): InvitationPlace {
  return { path: "invitations", key: [tenantId, "invitations"], tenantId };
}

export function ofPartner(partnerId: string): InvitationPlace {
  return { path: `partners/${partnerId}/invitations`, key: ["partners", partnerId, "invitations"] };
}

function of(place: InvitationPlace): { tenantId?: string } {
  return place.tenantId === undefined ? {} : { tenantId: place.tenantId };
}

interface InviteProps {
  place: InvitationPlace;
  roles: { value: string; label: string }[];
  onClose: () => void;
}

export function Invite({ place, roles, onClose }: InviteProps) {
  const client = useQueryClient();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState(USUAL_ROLE);
  const invite = useMutation({
    mutationFn: () => request<InvitationMade>(place.path, { method: "POST", ...of(place), body: { email: email.trim(), role } }),
    onSuccess: () => client.invalidateQueries({ queryKey: place.key }),
  });
  if (invite.data !== undefined) return <Invited made={invite.data} onClose={onClose} />;
  return (
    <FormDialog
      title={t.users.invite} confirm={t.users.invite} disabled={email.trim() === ""}
      pending={invite.isPending} error={invite.error} onClose={onClose} onSubmit={() => invite.mutate()}
    >
      <TextInput label={t.signIn.email} type="email" required maxLength={254} data-autofocus value={email} onChange={(event) => setEmail(event.currentTarget.value)} error={faultOf(invite.error, "/email")} />
      <NativeSelect label={t.users.role} value={role} onChange={(event) => setRole(event.currentTarget.value)} data={roles} error={faultOf(invite.error, "/role")} />
    </FormDialog>
  );
}

function Invited({ made, onClose }: { made: InvitationMade; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={t.users.invited(made.email)} closeOnClickOutside={false} closeButtonProps={{ "aria-label": t.common.close }}>
      <Stack gap="sm">
        {made.link === null ? (
          <p style={{ margin: 0 }}>{t.users.mailed}</p>
        ) : (
          <>
            <Notice title={t.users.notMailed}>{t.users.notMailedText}</Notice>
            <Command>{made.link}</Command>
          </>
        )}
        <Group justify="flex-end"><Button onClick={onClose} data-autofocus>{t.common.close}</Button></Group>
      </Stack>
    </Modal>
  );
}

export function Invitations({ place }: { place: InvitationPlace }) {
  const client = useQueryClient();
  const list = useInfiniteQuery(pagesOf<InvitationItem>(place.key, place.path, of(place)));
  const [withdrawing, setWithdrawing] = useState<InvitationItem | null>(null);
  const [sent, setSent] = useState<InvitationMade | null>(null);
  const again = useMutation({
    mutationFn: (invitation: InvitationItem) => request<InvitationMade>(`${place.path}/${invitation.id}/resend`, { method: "POST", ...of(place) }),
    onSuccess: (made) => setSent(made),
    onSettled: () => client.invalidateQueries({ queryKey: place.key }),
  });
  const withdraw = useMutation({
    mutationFn: (invitation: InvitationItem) => request(`${place.path}/${invitation.id}`, { method: "DELETE", ...of(place) }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: place.key });
      setWithdrawing(null);
    },
  });
  return (
    <>
      {again.error !== null && <Trouble error={again.error} />}
      <Listing
        list={list} title={t.users.invitations} columns={[t.signIn.email, t.users.role, t.users.sent, t.users.expires, unseen(t.common.actions)]}
        empty={<p className={classes["soft"]} style={{ margin: 0 }}>{t.users.noInvitations}</p>}
        row={(invitation) => (
          <>
            <td data-label={t.signIn.email}>{invitation.email}</td>
            <td data-label={t.users.role}>{words(invitation.role)}</td>
            <td data-label={t.users.sent}><Ago at={invitation.created_at} /></td>
            <td data-label={t.users.expires}><Ago at={invitation.expires_at} /></td>
            <td data-figures>
              <div className={classes["buttons"]}>
                <Button size="compact-xs" variant="default" onClick={() => again.mutate(invitation)} aria-label={t.users.sendAgainTo(invitation.email)}>{t.users.sendAgain}</Button>
                <Button size="compact-xs" variant="default" onClick={() => setWithdrawing(invitation)} aria-label={t.users.withdrawOf(invitation.email)}>{t.users.withdraw}</Button>
              </div>
            </td>
          </>
        )}
      />
      {sent !== null && <Invited made={sent} onClose={() => setSent(null)} />}
      {withdrawing !== null && (
        <ConfirmDialog
          title={t.users.withdrawOf(withdrawing.email)} consequence={t.users.withdrawText} confirm={t.users.withdraw}
          pending={withdraw.isPending} error={withdraw.error} onClose={() => setWithdrawing(null)} onConfirm={() => withdraw.mutate(withdrawing)}
        />
      )}
    </>
  );
}
