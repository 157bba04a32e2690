// What people say on an incident; each may edit and delete what is their own.
import { Button, Group, Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { commentsQuery, type Comment, type Person } from "../../api/incidentWork";
import { incidentKey } from "../../api/queries";
import { namedIn } from "../../lib/mentions";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Ago, Lines, Trouble } from "../../ui/parts";
import { MentionTextarea } from "./MentionTextarea";
import { usePeople } from "./people";
import classes from "./work.module.css";

export function Comments({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const mayWrite = useMay("incidents:write");
  const { data, error, refetch } = useQuery(commentsQuery(tenant.id, incidentId));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={2} />;
  return (
    <>
      {data.items.length === 0 && <p className={classes["note"]}>{t.work.comments.none}</p>}
      <ul className={classes["comments"]} aria-label={t.work.comments.list}>
        {data.items.map((comment) => <CommentView key={comment.id} comment={comment} incidentId={incidentId} />)}
      </ul>
      {mayWrite && <Write incidentId={incidentId} />}
    </>
  );
}

/** Sends, and reads the conversation anew whatever came of it. */
function useSend<Variables>(incidentId: string, send: (given: Variables) => Promise<unknown>, done: () => void) {
  const tenant = useTenant();
  const client = useQueryClient();
  return useMutation({
    mutationFn: send,
    onSuccess: done,
    onSettled: () => void client.invalidateQueries({ queryKey: [...incidentKey(tenant.id, incidentId)] }),
  });
}

function CommentView({ comment, incidentId }: { comment: Comment; incidentId: string }) {
  const tenant = useTenant();
  const people = usePeople();
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const path = `incidents/${incidentId}/comments/${comment.id}`;
  const edit = useSend(incidentId, (body: string) => request<Comment>(path, { method: "PATCH", tenantId: tenant.id, body: { body, version: comment.version } }), () => setEditing(false));
  const remove = useSend(incidentId, () => request<undefined>(path, { method: "DELETE", tenantId: tenant.id }), () => setDeleting(false));
  const gone = comment.deleted_at !== null;
  return (
    <li className={classes["comment"]}>
      <div className={classes["commentHead"]}>
        <b>{people.nameOfActor(comment.author)}</b>
        <Ago at={comment.created_at} />
        {comment.edited_at !== null && !gone && <span>{t.work.comments.edited} <Ago at={comment.edited_at} /></span>}
        {comment.mentions.length > 0 && <span>{t.work.comments.mentioned(comment.mentions.map(people.nameOf).join(", "))}</span>}
        {comment.mine && !gone && !editing && (
          <Group gap="0.2rem" ml="auto" className="no-print">
            <Button size="compact-xs" variant="subtle" color="gray" onClick={() => setEditing(true)}>{t.work.comments.edit}</Button>
            <Button size="compact-xs" variant="subtle" color="gray" onClick={() => setDeleting(true)}>{t.work.comments.delete}</Button>
          </Group>
        )}
      </div>
      {gone && <p className={classes["note"]}>{t.work.comments.deleted}</p>}
      {!gone && !editing && <p className={classes["commentBody"]}>{comment.body}</p>}
      {editing && (
        <Editor
          label={t.work.comments.edit} send={t.work.comments.save} begin={comment.body} pending={edit.isPending} error={edit.error}
          onSend={({ body }) => edit.mutate(body)} onCancel={() => setEditing(false)}
        />
      )}
      <Modal opened={deleting} onClose={() => setDeleting(false)} title={t.work.comments.deleteTitle} closeButtonProps={{ "aria-label": t.common.close }}>
        <p>{t.work.comments.deleteConsequence}</p>
        {remove.error !== null && <Trouble error={remove.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={() => setDeleting(false)}>{t.common.cancel}</Button>
          <Button color="red" loading={remove.isPending} onClick={() => remove.mutate(undefined)}>{t.work.comments.delete}</Button>
        </Group>
      </Modal>
    </li>
  );
}

function Write({ incidentId }: { incidentId: string }) {
  const tenant = useTenant();
  const [written, setWritten] = useState(0);
  const add = useSend(
    incidentId,
    (said: Said) => request<Comment>(`incidents/${incidentId}/comments`, { method: "POST", tenantId: tenant.id, body: said }),
    () => setWritten((before) => before + 1),
  );
  return (
    <div className="no-print">
      <Editor key={written} label={t.work.comments.write} send={t.work.comments.send} begin="" naming pending={add.isPending} error={add.error} onSend={(said) => add.mutate(said)} />
    </div>
  );
}

interface Said {
  body: string;
  mentions: string[];
}

interface EditorProps {
  label: string;
  send: string;
  begin: string;
  /** Whether people may be named. */
  naming?: boolean;
  pending: boolean;
  error: Error | null;
  onSend: (said: Said) => void;
  onCancel?: () => void;
}

function Editor({ label, send, begin, naming = false, pending, error, onSend, onCancel }: EditorProps) {
  const [body, setBody] = useState(begin);
  const [chosen, setChosen] = useState<Person[]>([]);
  const submit = () => {
    if (body.trim() !== "" && !pending) onSend({ body: body.trim(), mentions: namedIn(body, chosen) });
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <MentionTextarea
        label={label} description={naming ? t.work.comments.helpNaming : t.work.comments.help} value={body} naming={naming}
        onText={setBody} onName={(person) => setChosen((before) => [...before, person])} onSubmit={submit}
      />
      {error !== null && <Trouble error={error} />}
      <Group justify="flex-end" gap="xs" mt="xs">
        {onCancel !== undefined && <Button size="xs" variant="default" onClick={onCancel}>{t.common.cancel}</Button>}
        <Button size="xs" type="submit" variant={onCancel === undefined ? "default" : "filled"} loading={pending} disabled={body.trim() === ""}>{send}</Button>
      </Group>
    </form>
  );
}
