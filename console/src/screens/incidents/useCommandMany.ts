// A command on many incidents: sent, watched until it has ended, and taken back.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { request } from "../../api/client";
import { bulkQuery, commandMany, isUnderWay, type Bulk, type BulkCommand } from "../../api/incidentWork";
import { incidentListKey } from "../../api/queries";
import type { Accepted } from "../../api/types";
import { useTenant } from "../../lib/tenant";

export interface CommandMany {
  send: (command: BulkCommand, after?: () => void) => void;
  sending: boolean;
  error: Error | null;
  reset: () => void;
  /** The last command, while it is shown. */
  bulk: Bulk | null;
  undo: () => void;
  undoing: boolean;
  undoError: Error | null;
  dismiss: () => void;
}

export function useCommandMany(): CommandMany {
  const tenant = useTenant();
  const client = useQueryClient();
  const [id, setId] = useState<string | null>(null);
  const watched = useQuery({ ...bulkQuery(tenant.id, id ?? ""), enabled: id !== null });
  const refresh = () => {
    void client.invalidateQueries({ queryKey: [tenant.id, "incident-bulk"] });
    void client.invalidateQueries({ queryKey: [tenant.id, "incident-count"] });
    void client.invalidateQueries({ queryKey: [tenant.id, "overview"] });
  };
  const send = useMutation({
    mutationFn: (command: BulkCommand) => commandMany(tenant.id, command),
    onSuccess: (accepted) => {
      setId(accepted.id);
      refresh();
    },
  });
  const undo = useMutation({
    mutationFn: () => request<Accepted>(`incidents/bulk/${id ?? ""}/undo`, { method: "POST", tenantId: tenant.id }),
    onSettled: refresh,
  });
  const state = watched.data?.state;
  const over = id !== null && watched.data !== undefined && !isUnderWay(watched.data);
  useEffect(() => {
    // The stream told of each; a list that is short enough is read anew, so that what no longer fits leaves it.
    if (over) {
      void client.invalidateQueries({
        queryKey: incidentListKey(tenant.id),
        predicate: (query) => ((query.state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 0) <= 3,
      });
    }
  }, [client, tenant.id, over, state]);
  return {
    send: (command, after) => send.mutate(command, { onSuccess: () => after?.() }),
    sending: send.isPending,
    error: send.error,
    reset: () => send.reset(),
    bulk: id === null ? null : (watched.data ?? null),
    undo: () => undo.mutate(),
    undoing: undo.isPending || state === "undoing",
    undoError: undo.error,
    dismiss: () => setId(null),
  };
}
