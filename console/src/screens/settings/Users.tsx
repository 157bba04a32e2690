// Who may act in the tenant: members and their roles, invitations that are on their way.
import { Button, Group, NativeSelect, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { Member } from "../../api/identity";
import { membersQuery, rolesQuery } from "../../api/identityQueries";
import { meQuery } from "../../api/queries";
import { words } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { IconPlus, IconSearch } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { Ago, Empty, PageHead, Trouble } from "../../ui/parts";
import { Invitations, Invite, ofTenant } from "./Invitations";
import classes from "./Settings.module.css";

const TYPING_MS = 250;
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
  const [freeing, setFreeing] = useState<Member | null>(null);
  const narrowed = q !== "" || role !== "";
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
        empty={<Empty title={narrowed ? t.users.none : t.users.noMember}><p>{narrowed ? t.users.noneText : t.users.noMemberText}</p></Empty>}
        row={(member) => <MemberCells member={member} roles={roles} mayWrite={mayWrite} onRemove={() => setRemoving(member)} onFree={() => setFreeing(member)} />}
      />
      {mayWrite && <Invitations place={ofTenant(tenant.id)} />}
      {inviting && <Invite place={ofTenant(tenant.id)} roles={roles} onClose={() => setInviting(false)} />}
      <FreeMember member={freeing} onClose={() => setFreeing(null)} />
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
  onFree: () => void;
}

function MemberCells({ member, roles, mayWrite, onRemove, onFree }: MemberCellsProps) {
  const tenant = useTenant();
  const client = useQueryClient();
  const stepUp = useStepUp();
  const me = useQuery(meQuery()).data;
  const change = useMutation({
    mutationFn: (role: string) => stepUp(() => request(`users/${member.id}`, { method: "PATCH", tenantId: tenant.id, body: { role } })),
    onSuccess: (_answer, role) => notifications.show({ message: t.users.changed(member.name || member.email, words(role)) }),
    onSettled: () => client.invalidateQueries({ queryKey: [tenant.id, "users"] }),
  });
  const isOwn = member.via === "tenant" && mayWrite;
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
        {isOwn ? (
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
      <td data-figures>
        {isOwn && (
          <Group gap="xs" justify="flex-end">
            {member.id !== me?.id && <Button size="compact-xs" variant="default" onClick={onFree} aria-label={t.users.factorsOf(member.name || member.email)}>{t.users.factors}</Button>}
            <Button size="compact-xs" variant="default" onClick={onRemove} aria-label={t.users.removeNamed(member.name || member.email)}>{t.security.remove}</Button>
          </Group>
        )}
      </td>
    </>
  );
}

function FreeMember({ member, onClose }: { member: Member | null; onClose: () => void }) {
  const tenant = useTenant();
  const stepUp = useStepUp();
  const name = member === null ? "" : member.name || member.email;
  const free = useMutation({
    mutationFn: (reason: string) => stepUp(() => request(`users/${member?.id ?? ""}/second-factors/reset`, { method: "POST", tenantId: tenant.id, body: { reason } })),
    onSuccess: () => {
      notifications.show({ message: t.users.factorsRemoved(name) });
      onClose();
    },
  });
  return (
    <ReasonDialog
      opened={member !== null} title={t.users.factorsOf(name)} consequence={t.users.factorsText(tenant.name)} confirm={t.users.factors} color="red"
      pending={free.isPending} error={free.error} onConfirm={(reason) => free.mutate(reason)}
      onClose={() => {
        free.reset();
        onClose();
      }}
    />
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
