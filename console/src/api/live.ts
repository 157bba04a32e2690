// The live stream of one tenant: kept open, resumed from the last event seen, and honest about its own state.
import { serverEventReader } from "./sse";
import type { LiveMessage } from "./types";

export type LiveState = "connecting" | "connected" | "reconnecting" | "offline";

export interface LiveOptions {
  url: string;
  /** Headers of an attempt; null when nobody is signed in, which ends the stream. */
  headers: (refused: boolean) => Promise<Record<string, string> | null>;
  onMessages: (messages: LiveMessage[]) => void;
  onState: (state: LiveState) => void;
  /** Called when the stream is back after a break: what was shown in between may be stale. */
  onResumed: () => void;
  online?: () => boolean;
  firstPauseMs?: number;
  silenceMs?: number;
}

const LONGEST_PAUSE_MS = 20_000;
const SILENCE_MS = 45_000;

/** Opens the stream and returns what closes it. */
export function openLive(options: LiveOptions): () => void {
  const closing = new AbortController();
  void follow(options, closing.signal);
  return () => closing.abort();
}

async function follow(options: LiveOptions, closed: AbortSignal): Promise<void> {
  const isOnline = options.online ?? (() => navigator.onLine);
  const firstPauseMs = options.firstPauseMs ?? 500;
  let lastEventId = "";
  let pauseMs = firstPauseMs;
  let refused = false;
  let broken = false;
  options.onState("connecting");

  while (!closed.aborted) {
    const headers = await options.headers(refused).catch(() => undefined);
    if (headers === null || closed.aborted) return;
    if (headers !== undefined) {
      const outcome = await readStream(options, headers, lastEventId, closed, () => {
        options.onState("connected");
        if (broken) options.onResumed();
        pauseMs = firstPauseMs;
        broken = false;
      });
      lastEventId = outcome.lastEventId;
      pauseMs = Math.max(pauseMs, outcome.retryMs ?? 0);
      // A token that ran out is replaced and tried at once, but only once in a row.
      const again = outcome.status === 401 && !refused;
      refused = outcome.status === 401;
      if (again) continue;
    }
    if (closed.aborted) return;
    broken = true;
    options.onState(isOnline() ? "reconnecting" : "offline");
    await pause(pauseMs * (0.75 + Math.random() / 2), closed);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

interface Outcome {
  status: number;
  lastEventId: string;
  retryMs: number | null;
}

async function readStream(
  options: LiveOptions,
  headers: Record<string, string>,
  resumeFrom: string,
  closed: AbortSignal,
  onOpen: () => void,
): Promise<Outcome> {
  const reader = serverEventReader(resumeFrom);
  const silence = new AbortController();
  const signal = AbortSignal.any([closed, silence.signal]);
  const silenceMs = options.silenceMs ?? SILENCE_MS;
  // The network's end is known at once, the connection's only after minutes.
  const cut = () => silence.abort();
  globalThis.addEventListener?.("offline", cut);
  // A connection that died without a word looks open for minutes; the platform is never silent for so long.
  let watchdog = setTimeout(() => silence.abort(), silenceMs);
  let status = 0;
  try {
    const response = await fetch(options.url, {
      headers: { Accept: "text/event-stream", ...headers, ...(resumeFrom === "" ? {} : { "Last-Event-ID": resumeFrom }) },
      cache: "no-store",
      signal,
    });
    status = response.status;
    if (response.ok && response.body !== null) {
      onOpen();
      const chunks = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await chunks.read();
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => silence.abort(), silenceMs);
        const messages = reader.push(value).flatMap((event) => parseMessage(event.data));
        if (messages.length > 0) options.onMessages(messages);
      }
    }
  } catch {
    // A broken connection is the ordinary end of a stream; the caller opens the next one.
  } finally {
    globalThis.removeEventListener?.("offline", cut);
    clearTimeout(watchdog);
  }
  return { status, lastEventId: reader.lastEventId(), retryMs: reader.retryMs() };
}

function parseMessage(data: string): LiveMessage[] {
  try {
    const message: unknown = JSON.parse(data);
    const isMessage = typeof message === "object" && message !== null && "type" in message && "data" in message;
    return isMessage ? [message as LiveMessage] : [];
  } catch {
    return [];
  }
}

function pause(ms: number, closed: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      closed.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    closed.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
  });
}
