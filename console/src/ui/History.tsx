// The versions of something that people write, and the way back to one of them.
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient, type InfiniteData, type QueryKey, type UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Page } from "../api/types";
import { t } from "../texts";
import { Trouble } from "./parts";
import { Versions, type Version } from "./Versions";

interface HistoryProps<Item extends Version> {
  query: UseInfiniteQueryResult<InfiniteData<Page<Item>>>;
  /** Of all that is asked for again once it was restored. */
  queryKey: QueryKey;
  present: number | null;
  isDeletion: (item: Item) => boolean;
  show: (item: Item) => ReactNode;
  restore: (to: number) => Promise<unknown>;
  mayWrite: boolean;
}

export function History<Item extends Version>({ query, queryKey, present, isDeletion, show, restore, mayWrite }: HistoryProps<Item>) {
  const client = useQueryClient();
  const restoring = useMutation({
    mutationFn: restore,
    onSuccess: async (_answer, to) => {
      notifications.show({ message: t.versions.restored(to) });
      await client.invalidateQueries({ queryKey });
    },
  });
  return (
    <>
      {restoring.error !== null && <Trouble error={restoring.error} />}
      <Versions<Item>
        query={query} present={present} isDeletion={isDeletion} pending={restoring.isPending} show={show}
        onRestore={mayWrite ? (item) => restoring.mutate(item.version) : null}
      />
    </>
  );
}
