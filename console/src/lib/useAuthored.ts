// What becomes of something that people write: it is saved or removed, they are told so, and it is asked for anew.
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient, type QueryKey, type UseMutationResult } from "@tanstack/react-query";
import { useState } from "react";
import { t } from "../texts";

interface Saved {
  id: string;
  version?: number | null | undefined;
}

export type Saving<Wanted> = UseMutationResult<Saved, Error, Wanted>;

interface Authored<Wanted> {
  /** Of all that is asked for again once it changed. */
  queryKey: QueryKey;
  save: (wanted: Wanted) => Promise<Saved>;
  /** Where to go after the first save of a new one; null for one that is there. */
  open: ((id: string) => Promise<void>) | null;
  remove: () => Promise<unknown>;
  removed: string;
  leave: () => Promise<void>;
}

export function useAuthored<Wanted>({ queryKey, save, open, remove, removed, leave }: Authored<Wanted>) {
  const client = useQueryClient();
  // What stands in the editor is no longer a change that could be lost.
  const [done, setDone] = useState(false);
  const saving = useMutation({
    mutationFn: save,
    onSuccess: async (answer) => {
      setDone(true);
      notifications.show({ message: t.editor.saved(answer.version ?? 1) });
      await client.invalidateQueries({ queryKey });
      if (open !== null) await open(answer.id);
    },
  });
  const removing = useMutation({
    mutationFn: remove,
    onSuccess: async () => {
      setDone(true);
      notifications.show({ message: removed });
      await leave();
      await client.invalidateQueries({ queryKey });
    },
  });
  return { done, save: saving, remove: removing };
}
