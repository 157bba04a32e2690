// Who may act in the tenant: members and their roles, invitations that are on their way.
import { Button, Group, Modal, NativeSelect, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { InvitationItem, InvitationMade, Member } from "../../api/identity";
import { invitationsQuery, membersQuery, rolesQuery } from "../../api/identityQueries";
import { faultOf } from "../../api/problem";
import { meQuery } from "../../api/queries";
import { words } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Command, Empty, Notice, PageHead, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

const TYPING_MS = 250;
const USUAL_ROLE = "viewer";
/* It belongs to an account, not to a tenant. */
const NO_MEMBERS_ROLE = "platform_admin";

export function Users() {
  const tenant = useTenant();
  const mayWrite = useMay("users:write");
  const [typed, setTyped] = useState("");
  const [q] = useDebouncedValue(typed.trim(), TYPING_MS);
  const [role, setRole] = useState("");
  const list = useInfiniteQuery(membersQuery(tenant.id, { ...(q === "" ? {} : { q }), ...(role === "" ? {} : { role }) }));
  const roles = useRoleNames();
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<Member | null>(null);
  return (
    <>
      <title>{t.pageTitle(t.settings.users)}</title>
      <PageHead title={t.settings.users}>
        {mayWrite && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setInviting(true)}>{t.users.invite}</Button>}
      </PageHead>
      <div className={classes["row"]}>
        <TextInput
          type="search" aria-label={t.users.search} placeholder={t.users.search} leftSection={<IconSearch width="0.95rem" />} value={typed} maxLength={200}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <NativeSelect aria-label={t.users.role} value={role} onChange={(event) => setRole(event.currentTarget.value)} data={[{ value: "", label: t.users.everyRole }, ...roles]} />
      </div>
      <Listing
        list={list} columns={[t.users.name, t.users.role, t.users.since, unseen(t.common.actions)]}
        empty={<Empty title={t.users.none}><p>{t.users.noneText}</p></Empty>}
        row={(member) => <MemberCells member={member} roles={roles} mayWrite={mayWrite} onRemove={() => setRemoving(member)} />}
      />
      {mayWrite && <Invitations />}
      {inviting && <Invite roles={roles} onClose={() => setInviting(false)} />}
      {removing !== null && <RemoveMember member={removing} onClose={() => setRemoving(null)} />}
    </>
  );
}

function useRoleNames(): { value: string; label: string }[] {
  const tenant = useTenant();
  const { data } = useQuery(rolesQuery(tenant.id));
  return (data?.roles ?? []).filter((role) => role.name !== NO_MEMBERS_ROLE).map((role) => ({ value: role.name, label: words(role.name) }));
}

interface MemberCellsProps {
  member: Member;
  roles: { value: string; label: string }[];
  mayWrite: boolean;
  onRemove: () => void;
}

function MemberCells({ member, roles, mayWrite, onRemove }: MemberCellsProps) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const me = useQuery(meQuery()).data;
  const change = useMutation({
    mutationFn: (role: string) => stepUp(() => request(`users/${member.id}`, { method: "PATCH", tenantId: tenant.id, body: { role } })),
    onSuccess: (_answer, role) => notifications.show({ message: t.users.changed(member.name || member.email, words(role)) }),
    onSettled: () => client.invalidateQueries({ queryKey: [tenant.id, "users"] }),
  });
  const ofTenant = member.via === "tenant" && mayWrite;
  return (
    <>
      <td data-label={t.users.name}>
        <div>
          {member.name || member.email} {member.id === me?.id && <Tag tone="quiet">{t.users.you}</Tag>} {member.disabled && <Tag tone="waiting">{t.users.disabled}</Tag>}
          <div className={classes["soft"]}>{member.email}</div>
          {change.error !== null && <Trouble error={change.error} />}
        </div>
      </td>
      <td data-label={t.users.role}>
        {ofTenant ? (
          <NativeSelect
            size="xs" aria-label={t.users.roleOf(member.name || member.email)} value={member.role} disabled={change.isPending}
            onChange={(event) => change.mutate(event.currentTarget.value)}
            data={roles.some((role) => role.value === member.role) ? roles : [...roles, { value: member.role, label: words(member.role) }]}
          />
        ) : (
          <div>{words(member.role)}{member.via === "partner" && <div className={classes["soft"]}>{t.users.viaPartner}</div>}</div>
        )}
      </td>
      <td data-label={t.users.since}><Ago at={member.since} /></td>
      <td data-figures>{ofTenant && <Button size="compact-xs" variant="default" onClick={onRemove} aria-label={t.users.removeNamed(member.name || member.email)}>{t.security.remove}</Button>}</td>
    </>
  );
}

function RemoveMember({ member, onClose }: { member: Member; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const remove = useMutation({
    mutationFn: () => stepUp(() => request(`users/${member.id}`, { method: "DELETE", tenantId: tenant.id })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "users"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.users.removeNamed(member.name || member.email)} consequence={t.users.removeText(tenant.name)} confirm={t.security.remove}
      pending={remove.isPending} error={remove.error} onClose={onClose} onConfirm={() => remove.mutate()}
    />
  );
}

function Invite({ roles, onClose }: { roles: { value: string; label: string }[]; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState(USUAL_ROLE);
  const invite = useMutation({
    mutationFn: () => request<InvitationMade>("invitations", { method: "POST", tenantId: tenant.id, body: { email: email.trim(), role } }),
    onSuccess: () => client.invalidateQueries({ queryKey: [tenant.id, "invitations"] }),
  });
  if (invite.data !== undefined) return <Invited made={invite.data} onClose={onClose} />;
  return (
    <Modal opened onClose={onClose} title={t.users.invite} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          invite.mutate();
        }}
      >
        <Stack gap="sm">
          <TextInput label={t.signIn.email} type="email" required maxLength={254} data-autofocus value={email} onChange={(event) => setEmail(event.currentTarget.value)} error={faultOf(invite.error, "/email")} />
          <NativeSelect label={t.users.role} value={role} onChange={(event) => setRole(event.currentTarget.value)} data={roles} error={faultOf(invite.error, "/role")} />
          {invite.error !== null && <Trouble error={invite.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={invite.isPending} disabled={email.trim() === ""}>{t.users.invite}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
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

function Invitations() {
  const tenant = useTenant();
  const client = useQueryClient();
  const list = useInfiniteQuery(invitationsQuery(tenant.id));
  const [withdrawing, setWithdrawing] = useState<InvitationItem | null>(null);
  const [sent, setSent] = useState<InvitationMade | null>(null);
  const again = useMutation({
    mutationFn: (invitation: InvitationItem) => request<InvitationMade>(`invitations/${invitation.id}/resend`, { method: "POST", tenantId: tenant.id }),
    onSuccess: (made) => setSent(made),
    onSettled: () => client.invalidateQueries({ queryKey: [tenant.id, "invitations"] }),
  });
  const withdraw = useMutation({
    mutationFn: (invitation: InvitationItem) => request(`invitations/${invitation.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [tenant.id, "invitations"] });
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
