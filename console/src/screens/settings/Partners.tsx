// Partners, who look after several tenants, and their people: roles, invitations, leaving.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { Partner, PartnerMember } from "../../api/identity";
import { partnerMembersQuery, rolesQuery } from "../../api/identityQueries";
import { meQuery } from "../../api/queries";
import { slugOf, words } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconPlus } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Tag } from "../../ui/marks";
import { Ago, Fold, Panel, Trouble } from "../../ui/parts";
import { Invitations, Invite, ofPartner } from "./Invitations";
import classes from "./Settings.module.css";

/* It belongs to an account, not to a partner. */
const NO_MEMBERS_ROLE = "platform_admin";
/* Who decides about a partner's people. */
const DECIDES = "partner_admin";

export function Partners({ partners, isAdmin, error }: { partners: Partner[]; isAdmin: boolean; error: Error | null }) {
  const [editing, setEditing] = useState<Partner | "new" | null>(null);
  return (
    <Panel
      title={t.tenants.partners}
      aside={isAdmin && <Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setEditing("new")}>{t.tenants.makePartner}</Button>}
    >
      {error !== null && <Trouble error={error} />}
      {partners.length === 0 && <p className={classes["soft"]} style={{ margin: 0 }}>{t.tenants.noPartners}</p>}
      <ul className={classes["rows"]}>
        {partners.map((partner) => (
          <li key={partner.id}>
            <div className={classes["grow"]}>
              <p>{partner.name} <code className={classes["soft"]}>{partner.slug}</code></p>
              <Fold title={t.tenants.people}><PartnerPeople partner={partner} isAdmin={isAdmin} /></Fold>
            </div>
            <Button size="compact-xs" variant="default" onClick={() => setEditing(partner)} aria-label={t.security.renameNamed(partner.name)}>{t.security.rename}</Button>
          </li>
        ))}
      </ul>
      {editing !== null && <EditPartner partner={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
    </Panel>
  );
}

function PartnerPeople({ partner, isAdmin }: { partner: Partner; isAdmin: boolean }) {
  const me = useQuery(meQuery()).data;
  const tenant = useTenant();
  const list = useInfiniteQuery(partnerMembersQuery(partner.id));
  const roles = (useQuery(rolesQuery(tenant.id)).data?.roles ?? [])
    .filter((role) => role.builtin && role.name !== NO_MEMBERS_ROLE).map((role) => ({ value: role.name, label: words(role.name) }));
  const decides = isAdmin || (me?.partners.some((mine) => mine.id === partner.id && mine.role === DECIDES) ?? false);
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<PartnerMember | null>(null);
  return (
    <>
      <Listing
        list={list} columns={[t.users.name, t.users.role, t.users.since, unseen(t.common.actions)]} empty={<p className={classes["soft"]} style={{ margin: 0 }}>{t.tenants.nobody}</p>}
        row={(person) => <PersonCells partner={partner} person={person} roles={roles} decides={decides} onRemove={() => setRemoving(person)} />}
      />
      {decides && (
        <>
          <div><Button size="xs" leftSection={<IconPlus width="0.95rem" />} onClick={() => setInviting(true)} aria-label={t.tenants.inviteTo(partner.name)}>{t.users.invite}</Button></div>
          <Invitations place={ofPartner(partner.id)} />
        </>
      )}
      {inviting && <Invite place={ofPartner(partner.id)} roles={roles} onClose={() => setInviting(false)} />}
      {removing !== null && <RemovePerson partner={partner} person={removing} onClose={() => setRemoving(null)} />}
    </>
  );
}

interface PersonCellsProps {
  partner: Partner;
  person: PartnerMember;
  roles: { value: string; label: string }[];
  decides: boolean;
  onRemove: () => void;
}

function PersonCells({ partner, person, roles, decides, onRemove }: PersonCellsProps) {
  const client = useQueryClient();
  const stepUp = useStepUp();
  const name = person.name || person.email;
  const change = useMutation({
    mutationFn: (role: string) => stepUp(() => request(`partners/${partner.id}/members/${person.id}`, { method: "PATCH", body: { role } })),
    onSuccess: (_answer, role) => notifications.show({ message: t.users.changed(name, words(role)) }),
    onSettled: () => client.invalidateQueries({ queryKey: ["partners", partner.id, "members"] }),
  });
  return (
    <>
      <td data-label={t.users.name}>
        <div>
          {name} {person.disabled && <Tag tone="waiting">{t.users.disabled}</Tag>}
          <div className={classes["soft"]}>{person.email}</div>
          {change.error !== null && <Trouble error={change.error} />}
        </div>
      </td>
      <td data-label={t.users.role}>
        {decides ? (
          <NativeSelect
            size="xs" aria-label={t.users.roleOf(name)} value={person.role} disabled={change.isPending} onChange={(event) => change.mutate(event.currentTarget.value)}
            data={roles.some((role) => role.value === person.role) ? roles : [...roles, { value: person.role, label: words(person.role) }]}
          />
        ) : words(person.role)}
      </td>
      <td data-label={t.users.since}><Ago at={person.since} /></td>
      <td data-figures>{decides && <Button size="compact-xs" variant="default" onClick={onRemove} aria-label={t.users.removeNamed(name)}>{t.security.remove}</Button>}</td>
    </>
  );
}

function RemovePerson({ partner, person, onClose }: { partner: Partner; person: PartnerMember; onClose: () => void }) {
  const client = useQueryClient();
  const stepUp = useStepUp();
  const remove = useMutation({
    mutationFn: () => stepUp(() => request(`partners/${partner.id}/members/${person.id}`, { method: "DELETE" })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["partners", partner.id, "members"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.users.removeNamed(person.name || person.email)} consequence={t.tenants.removeText(partner.name)} confirm={t.security.remove}
      pending={remove.isPending} error={remove.error} onClose={onClose} onConfirm={() => remove.mutate()}
    />
  );
}

function EditPartner({ partner, onClose }: { partner: Partner | null; onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState(partner?.name ?? "");
  const save = useMutation({
    mutationFn: () =>
      partner === null
        ? request("partners", { method: "POST", body: { name: name.trim(), slug: slugOf(name) } })
        : request(`partners/${partner.id}`, { method: "PATCH", body: { name: name.trim() } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["partners"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={partner === null ? t.tenants.makePartner : t.roles.editNamed(partner.name)} disabled={slugOf(name) === ""}
      pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}
    >
      <TextInput label={t.users.name} required maxLength={200} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
    </FormDialog>
  );
}
