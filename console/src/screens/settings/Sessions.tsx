// Where one's account is signed in, and how to end that.
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { SignedInSession } from "../../api/identity";
import { sessionsQuery } from "../../api/identityQueries";
import { deviceOf } from "../../lib/device";
import { dateTime } from "../../lib/format";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Tag } from "../../ui/marks";
import { Ago, Lines, Panel, Trouble } from "../../ui/parts";
import classes from "./Settings.module.css";

export function Sessions() {
  const client = useQueryClient();
  const list = useInfiniteQuery(sessionsQuery());
  const [ending, setEnding] = useState<SignedInSession | "others" | null>(null);
  const end = useMutation({
    mutationFn: (which: SignedInSession | "others") =>
      which === "others" ? request("me/sessions/end-others", { method: "POST" }) : request(`me/sessions/${which.id}`, { method: "DELETE" }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["me", "sessions"] });
      setEnding(null);
      notifications.show({ message: t.security.ended });
    },
  });
  const sessions = list.data?.pages.flatMap((page) => page.items);
  const others = sessions?.some((session) => !session.current) ?? false;
  return (
    <Panel title={t.security.sessions} aside={others && <Button size="xs" variant="default" onClick={() => setEnding("others")}>{t.security.endOthers}</Button>}>
      {sessions === undefined && list.error === null && <Lines rows={3} />}
      {list.error !== null && <Trouble error={list.error} onRetry={() => void list.refetch()} />}
      <ul className={classes["rows"]}>
        {sessions?.map((session) => (
          <li key={session.id}>
            <div className={classes["grow"]}>
              <p>{deviceOf(session.agent) ?? t.security.unknownDevice} {session.current && <Tag tone="good">{t.security.thisOne}</Tag>}</p>
              <p className={classes["soft"]} title={session.agent ?? ""}>
                {session.address ?? ""} · {session.methods.map((method) => t.security.method[method] ?? method).join(", ")} · {t.security.used} <Ago at={session.last_used_at} /> · {t.security.until(dateTime(session.expires_at))}
              </p>
            </div>
            {!session.current && (
              <Button size="compact-xs" variant="default" onClick={() => setEnding(session)} aria-label={t.security.endNamed(deviceOf(session.agent) ?? t.security.unknownDevice)}>{t.security.end}</Button>
            )}
          </li>
        ))}
      </ul>
      {list.hasNextPage && <Button size="xs" variant="default" onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>{t.common.more}</Button>}
      {ending !== null && (
        <ConfirmDialog
          title={ending === "others" ? t.security.endOthers : t.security.end} consequence={ending === "others" ? t.security.endOthersText : t.security.endText}
          confirm={ending === "others" ? t.security.endOthers : t.security.end} pending={end.isPending} error={end.error}
          onClose={() => setEnding(null)} onConfirm={() => end.mutate(ending)}
        />
      )}
    </Panel>
  );
}
