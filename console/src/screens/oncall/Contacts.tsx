// How channels reach people, and by which ids they are known there.
import { Button, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { contactsQuery, escalationKey, type Contact } from "../../api/escalation";
import { faultOf } from "../../api/problem";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FormDialog } from "../../ui/FormDialog";
import { Empty, Lines, Panel, Trouble } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import classes from "./OnCall.module.css";

export function Contacts() {
  const tenant = useTenant();
  const mayWrite = useMay("escalation:write");
  const { data, error, refetch } = useQuery(contactsQuery(tenant.id));
  const [editing, setEditing] = useState<Contact | null>(null);
  if (data === undefined) return error === null ? <Panel><Lines rows={4} /></Panel> : <Trouble error={error} onRetry={() => void refetch()} />;
  return (
    <>
      <p className={classes["soft"]}>{t.onCall.contactsText}</p>
      {data.items.length === 0 ? (
        <Panel><Empty title={t.onCall.noContacts}><p>{t.onCall.noContactsText}</p></Empty></Panel>
      ) : (
        <Panel flush>
          <table className={tables["table"]}>
            <thead>
              <tr>
                <th>{t.onCall.who}</th><th>{t.onCall.slackId}</th><th>{t.onCall.pagerdutyId}</th><th>{t.onCall.phone}</th>
                <th><span className="visually-hidden">{t.common.actions}</span></th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((contact) => (
                <tr key={contact.person.id}>
                  <td data-label={t.onCall.who}>{contact.person.name}</td>
                  <td data-label={t.onCall.slackId}>{contact.slack === null ? "–" : <code>{contact.slack}</code>}</td>
                  <td data-label={t.onCall.pagerdutyId}>{contact.pagerduty === null ? "–" : <code>{contact.pagerduty}</code>}</td>
                  <td data-label={t.onCall.phone}>{contact.phone ?? "–"}</td>
                  <td data-figures>
                    {mayWrite && <Button size="compact-xs" variant="default" onClick={() => setEditing(contact)} aria-label={t.onCall.editNamed(contact.person.name ?? "")}>{t.onCall.edit}</Button>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      )}
      {editing !== null && <EditContact contact={editing} onClose={() => setEditing(null)} />}
    </>
  );
}

function EditContact({ contact, onClose }: { contact: Contact; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [fields, setFields] = useState({ slack: contact.slack ?? "", pagerduty: contact.pagerduty ?? "", phone: contact.phone ?? "" });
  const set = (name: keyof typeof fields) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setFields((before) => ({ ...before, [name]: value }));
  };
  const filled = (value: string) => (value.trim() === "" ? null : value.trim());
  const save = useMutation({
    mutationFn: () =>
      request(`escalation/contacts/${contact.person.id}`, {
        method: "PUT", tenantId: tenant.id, body: { slack: filled(fields.slack), pagerduty: filled(fields.pagerduty), phone: filled(fields.phone) },
      }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [...escalationKey(tenant.id), "contacts"] });
      notifications.show({ message: t.common.saved });
      onClose();
    },
  });
  return (
    <FormDialog title={t.onCall.editNamed(contact.person.name ?? "")} pending={save.isPending} error={save.error} onClose={onClose} onSubmit={() => save.mutate()}>
      <TextInput label={t.onCall.slackId} description={t.onCall.slackHelp} maxLength={21} data-autofocus value={fields.slack} onChange={set("slack")} error={faultOf(save.error, "/slack")} />
      <TextInput label={t.onCall.pagerdutyId} description={t.onCall.pagerdutyHelp} maxLength={20} value={fields.pagerduty} onChange={set("pagerduty")} error={faultOf(save.error, "/pagerduty")} />
      <TextInput label={t.onCall.phone} description={t.onCall.phoneHelp} type="tel" maxLength={16} value={fields.phone} onChange={set("phone")} error={faultOf(save.error, "/phone")} />
    </FormDialog>
  );
}
