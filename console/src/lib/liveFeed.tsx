// The tenant's live stream for every screen: its state, its messages in batches, and what they make stale.
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { openLive, type LiveState } from "../api/live";
import { approvalsKey, incidentKey } from "../api/queries";
import { session } from "../api/session";
import type { Incident, LiveMessage } from "../api/types";

type Listener = (messages: LiveMessage[]) => void;

interface Feed {
  state: LiveState;
  listen: (listener: Listener) => () => void;
}

const FeedContext = createContext<Feed>({ state: "connecting", listen: () => () => undefined });
const BATCH_MS = 100;
/* How often to ask while nothing is told. */
const POLL_MS = 20_000;
/* A longer list would be asked for page by page, and the stream makes up what it missed. */
const MOST_PAGES_REFRESHED = 3;

export function LiveFeed({ tenantId, children }: { tenantId: string; children: ReactNode }) {
  const client = useQueryClient();
  const [state, setState] = useState<LiveState>("connecting");
  const listeners = useRef(new Set<Listener>());

  useEffect(() => {
    let waiting: LiveMessage[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let token: string | null = null;
    const stale = staleMarker(client, tenantId);
    const flush = () => {
      const messages = waiting;
      waiting = [];
      timer = undefined;
      stale.mark(messages);
      for (const listener of listeners.current) listener(messages);
    };
    const close = openLive({
      url: "/api/v1/events/stream",
      headers: async (refused) => {
        token = refused ? await session.renew(token) : await session.token();
        return token === null ? null : { Authorization: `Bearer ${token}`, "X-Tenant-ID": tenantId };
      },
      onMessages: (messages) => {
        waiting.push(...messages.filter((message) => message.tenant_id === tenantId));
        timer ??= setTimeout(flush, BATCH_MS);
      },
      onState: setState,
      onResumed: () => refreshTenant(client, tenantId),
    });
    return () => {
      close();
      clearTimeout(timer);
      stale.stop();
    };
  }, [client, tenantId]);

  useEffect(() => {
    if (state === "connected") return undefined;
    const timer = setInterval(() => refreshTenant(client, tenantId), POLL_MS);
    return () => clearInterval(timer);
  }, [client, tenantId, state]);

  const feed = useMemo<Feed>(
    () => ({
      state,
      listen: (listener) => {
        listeners.current.add(listener);
        return () => listeners.current.delete(listener);
      },
    }),
    [state],
  );
  return <FeedContext value={feed}>{children}</FeedContext>;
}

export function useLiveState(): LiveState {
  return useContext(FeedContext).state;
}

export function useLiveMessages(listener: Listener): void {
  const { listen } = useContext(FeedContext);
  const current = useRef(listener);
  useEffect(() => {
    current.current = listener;
  });
  useEffect(() => listen((messages) => current.current(messages)), [listen]);
}

/** The whole incident, where a message carries it. */
export function incidentOf(message: LiveMessage): Incident | null {
  const data = message.data;
  const nested = data["incident"];
  const candidate = typeof nested === "object" && nested !== null && !Array.isArray(nested) ? nested : data;
  const whole = typeof candidate["id"] === "string" && typeof candidate["number"] === "number"
    && typeof candidate["state"] === "string" && typeof candidate["opened_at"] === "string";
  return whole ? (candidate as unknown as Incident) : null;
}

/** The id of the incident that a message is about. */
export function incidentIdOf(message: LiveMessage): string | null {
  const data = message.data;
  for (const name of ["incident_id", "correlation_id", "id"]) {
    const value = data[name];
    if (typeof value === "string") return value;
  }
  return incidentOf(message)?.id ?? null;
}

function refreshTenant(client: QueryClient, tenantId: string): void {
  void client.invalidateQueries({
    predicate: (query) => {
      const pages = (query.state.data as { pages?: unknown[] } | undefined)?.pages;
      return query.queryKey[0] === tenantId && (pages === undefined || pages.length <= MOST_PAGES_REFRESHED);
    },
  });
}

interface StaleMarker {
  mark: (messages: LiveMessage[]) => void;
  stop: () => void;
}

/* Marks what the messages touched, at most every so often: a flood of events must not become a flood of requests. */
function staleMarker(client: QueryClient, tenantId: string): StaleMarker {
  const incidents = paced(400, (ids: Set<string>) => {
    for (const id of ids) void client.invalidateQueries({ queryKey: incidentKey(tenantId, id) });
  });
  const lists = paced(1500, (names: Set<string>) => {
    for (const name of names) void client.invalidateQueries({ queryKey: [tenantId, name] });
  });
  return {
    mark: (messages) => {
      for (const message of messages) {
        if (message.type === "platform_status") continue;
        const id = incidentIdOf(message);
        if (id !== null) incidents.add(id);
        lists.add("overview");
        if (message.type === "approval_requested" || message.type.startsWith("incident_")) lists.add(approvalsKey(tenantId)[1]);
        if (message.data["event"] === "incident.evidence_sealed") lists.add("evidence");
      }
    },
    stop: () => {
      incidents.stop();
      lists.stop();
    },
  };
}

function paced(everyMs: number, run: (names: Set<string>) => void): { add: (name: string) => void; stop: () => void } {
  let waiting = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ranAt = 0;
  const fire = () => {
    timer = undefined;
    ranAt = performance.now();
    const names = waiting;
    waiting = new Set();
    run(names);
  };
  return {
    add: (name) => {
      waiting.add(name);
      timer ??= setTimeout(fire, Math.max(0, ranAt + everyMs - performance.now()));
    },
    stop: () => clearTimeout(timer),
  };
}
