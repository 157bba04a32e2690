// What to do with the incidents that are chosen, and how far it is: progress, what was left and why, and the way back.
import { Button, Group, Modal, Progress, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { bulkItemsQuery, isUnderWay, type Bulk } from "../../api/incidentWork";
import { count } from "../../lib/format";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Lines, Trouble } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { AssignDialog } from "./AssignDialog";
import type { CommandMany } from "./useCommandMany";
import classes from "./work.module.css";

export type Asked = "resolve" | "close" | "reopen" | "assign" | "comment";

/** Which incidents a command is about. */
export interface Target {
  ids?: string[];
  filter?: string;
  count: number;
  more: boolean;
}

interface BulkBarProps {
  target: Target;
  chosen: string;
  /** Offers to choose everything that fits, where only what is loaded is chosen. */
  chooseAll: { label: string; run: () => void } | null;
  tooMany: boolean;
  onAsk: (action: Asked) => void;
  onClear: () => void;
}

export function BulkBar({ target, chosen, chooseAll, tooMany, onAsk, onClear }: BulkBarProps) {
  return (
    <div className={classes["bar"]} role="toolbar" aria-label={t.work.bar}>
      <span className={classes["barCount"]} role="status">{chosen}</span>
      {chooseAll !== null && <Button size="compact-xs" variant="subtle" onClick={chooseAll.run}>{chooseAll.label}</Button>}
      {tooMany && <span className={classes["note"]}>{t.work.tooMany}</span>}
      <Group gap="0.35rem" className={classes["barActions"] ?? ""}>
        {(["resolve", "close", "reopen", "assign", "comment"] as const).map((action) => (
          <Button key={action} size="compact-sm" variant="default" disabled={tooMany || target.count === 0} onClick={() => onAsk(action)}>
            {t.work.actions[action]}
          </Button>
        ))}
        <Button size="compact-sm" variant="subtle" color="gray" onClick={onClear}>{t.work.clear}</Button>
      </Group>
    </div>
  );
}

interface BulkDialogsProps {
  asked: Asked | null;
  target: Target;
  command: CommandMany;
  onClose: () => void;
  onDone: () => void;
}

/** Asks for what a command needs, and says what will happen. */
export function BulkDialogs({ asked, target, command, onClose, onDone }: BulkDialogsProps) {
  const which = { ...(target.ids === undefined ? {} : { ids: target.ids }), ...(target.filter === undefined ? {} : { filter: target.filter }) };
  const done = () => {
    onClose();
    onDone();
  };
  const many = target.more ? `${count(target.count)}+` : t.work.many(target.count);
  const withReason = asked === "resolve" || asked === "close" || asked === "reopen" ? asked : null;
  return (
    <>
      <ReasonDialog
        opened={withReason !== null} title={withReason === null ? "" : t.work.bulkTitle[withReason](many)}
        consequence={withReason === null ? "" : t.work.bulkConsequence[withReason]} confirm={withReason === null ? "" : t.work.actions[withReason]}
        pending={command.sending} error={command.error} onClose={onClose}
        onConfirm={(reason) => withReason !== null && command.send({ action: withReason, reason, ...which }, done)}
      />
      <AssignDialog
        opened={asked === "assign"} count={target.count} pending={command.sending} error={command.error} onClose={onClose}
        onChoose={(assignee) => command.send(assignee === null ? { action: "unassign", ...which } : { action: "assign", assignee, ...which }, done)}
      />
      <CommentDialog
        opened={asked === "comment"} title={many} pending={command.sending} error={command.error} onClose={onClose}
        onConfirm={(body) => command.send({ action: "comment", body, ...which }, done)}
      />
    </>
  );
}

interface CommentDialogProps {
  opened: boolean;
  title: string;
  pending: boolean;
  error: Error | null;
  onClose: () => void;
  onConfirm: (body: string) => void;
}

function CommentDialog({ opened, title, pending, error, onClose, onConfirm }: CommentDialogProps) {
  const [body, setBody] = useState("");
  return (
    <Modal opened={opened} onClose={onClose} title={`${t.work.actions.comment}: ${title}`} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (body.trim() !== "") onConfirm(body.trim());
        }}
      >
        <Textarea
          label={t.work.comments.write} required autosize minRows={3} maxRows={12} maxLength={10_000} data-autofocus
          value={body} onChange={(event) => setBody(event.currentTarget.value)}
        />
        {error !== null && <Trouble error={error} />}
        <Group justify="flex-end" gap="xs" mt="sm">
          <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" loading={pending} disabled={body.trim() === ""}>{t.work.comments.send}</Button>
        </Group>
      </form>
    </Modal>
  );
}

export function BulkProgress({ command }: { command: CommandMany }) {
  const [why, setWhy] = useState(false);
  const bulk = command.bulk;
  if (bulk === null) return null;
  const under = isUnderWay(bulk);
  const left = bulk.state === "undone" ? bulk.kept : bulk.skipped;
  return (
    <div className={classes["progress"]} role="status" aria-label={t.work.progress.label}>
      {under ? (
        <>
          <Progress value={share(bulk) * 100} className={classes["progressBar"] ?? ""} aria-label={t.work.progress.label} />
          <span>{bulk.state === "undoing" ? t.work.progress.undoing : t.work.progress.under(count(bulk.total - bulk.pending), count(bulk.total))}</span>
        </>
      ) : (
        <>
          <span>{bulk.state === "undone" ? t.work.progress.undone(bulk.undone) : t.work.progress.ended[bulk.action](bulk.done)}</span>
          {left > 0 && <span className={classes["note"]}>{bulk.state === "undone" ? t.work.progress.kept(left) : t.work.progress.left(left)}</span>}
          {left > 0 && <Button size="compact-xs" variant="subtle" onClick={() => setWhy(true)}>{t.work.progress.why}</Button>}
          {bulk.can_undo && <Button size="compact-xs" variant="default" loading={command.undoing} onClick={command.undo}>{t.work.progress.undo}</Button>}
          <Button size="compact-xs" variant="subtle" color="gray" onClick={command.dismiss}>{t.work.progress.dismiss}</Button>
        </>
      )}
      {command.undoError !== null && <Trouble error={command.undoError} />}
      <Modal opened={why} onClose={() => setWhy(false)} title={t.work.progress.whyTitle} closeButtonProps={{ "aria-label": t.common.close }}>
        {why && <LeftItems bulk={bulk} />}
      </Modal>
    </div>
  );
}

function LeftItems({ bulk }: { bulk: Bulk }) {
  const tenant = useTenant();
  const { data, error } = useQuery(bulkItemsQuery(tenant.id, bulk.id, bulk.state === "undone" ? "kept" : "skipped"));
  if (error !== null) return <Trouble error={error} />;
  if (data === undefined) return <Lines rows={4} />;
  return (
    <ul className={classes["leftItems"]}>
      {data.items.map((item) => (
        <li key={item.incident_id}><b>#{item.number ?? "–"}</b> {item.title} <span className={classes["note"]}>{item.detail}</span></li>
      ))}
    </ul>
  );
}

function share(bulk: Bulk): number {
  return bulk.total === 0 ? 1 : (bulk.total - bulk.pending) / bulk.total;
}
