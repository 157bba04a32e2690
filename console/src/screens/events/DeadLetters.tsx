// Events that a reader gave up on, with why, and the way back to work.
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { DeadLetter } from "../../api/platform";
import { deadLettersQuery } from "../../api/platformQueries";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Listing, unseen } from "../../ui/Listing";
import { Ago, Empty } from "../../ui/parts";
import classes from "./Events.module.css";

export function DeadLetters() {
  const tenant = useTenant();
  const client = useQueryClient();
  const mayReplay = useMay("events:replay");
  const list = useInfiniteQuery(deadLettersQuery(tenant.id));
  const [chosen, setChosen] = useState<DeadLetter | null>(null);
  const replay = useMutation({
    mutationFn: (letter: DeadLetter) => request(`events/dead-letters/${letter.id}/replay`, { method: "POST", tenantId: tenant.id }),
    onSuccess: async () => {
      setChosen(null);
      notifications.show({ message: t.eventLog.replayed });
      await client.invalidateQueries({ queryKey: [tenant.id, "dead-letters"] });
    },
  });
  return (
    <>
      <Listing
        list={list} columns={[t.eventLog.type, t.eventLog.reader, t.eventLog.error, t.eventLog.attempts, t.eventLog.parked, unseen(t.common.actions)]}
        empty={<Empty title={t.eventLog.noDead}><p>{t.eventLog.noDeadText}</p></Empty>}
        row={(letter) => (
          <>
            <td data-label={t.eventLog.type}><code>{letter.type}</code></td>
            <td data-label={t.eventLog.reader}><code>{letter.consumer_group}</code></td>
            <td data-label={t.eventLog.error}><pre className={classes["error"]} tabIndex={0}>{letter.last_error ?? "–"}</pre></td>
            <td data-label={t.eventLog.attempts}>{letter.attempts}</td>
            <td data-label={t.eventLog.parked}><Ago at={letter.parked_at} /></td>
            <td data-figures>{mayReplay && <Button size="compact-xs" variant="default" onClick={() => setChosen(letter)} aria-label={t.eventLog.replayNamed(letter.type)}>{t.eventLog.replay}</Button>}</td>
          </>
        )}
      />
      {chosen !== null && (
        <ConfirmDialog
          title={t.eventLog.replayNamed(chosen.type)} consequence={t.eventLog.replayText(chosen.consumer_group)} confirm={t.eventLog.replay} harmless
          pending={replay.isPending} error={replay.error} onClose={() => setChosen(null)} onConfirm={() => replay.mutate(chosen)}
        />
      )}
    </>
  );
}
