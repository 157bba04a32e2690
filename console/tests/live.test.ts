// The live stream against a real HTTP server on loopback that breaks it, refuses it and resumes it.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { openLive, type LiveState } from "../src/api/live";
import type { LiveMessage } from "../src/api/types";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server | undefined;
let close: (() => void) | undefined;

afterEach(() => {
  close?.();
  server?.closeAllConnections();
  server?.close();
});

/** Serves the nth request with the nth answer, and stays open on the last. */
async function serve(answers: Answer[]): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  server = createServer((request, response) => {
    requests.push(request);
    (answers[Math.min(requests.length, answers.length) - 1] as Answer)(request, response);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests };
}

function event(position: number): string {
  const message = { type: "incident_updated", tenant_id: "t", position, occurred_at: "2026-11-21T10:00:00Z", data: { id: "i" } };
  return `id: ${position}\nevent: incident_updated\ndata: ${JSON.stringify(message)}\n\n`;
}

const stream: (text: string, end?: boolean) => Answer = (text, end = false) => (_request, response) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(text);
  if (end) response.end();
};

interface Watched {
  messages: LiveMessage[];
  states: LiveState[];
  resumed: number;
  refusals: boolean[];
  until: (reached: () => boolean) => Promise<void>;
}

function watch(url: string, token: (refused: boolean) => string | null = () => "good", silenceMs = 5_000): Watched {
  let check: () => void = () => undefined;
  const watched: Watched = {
    messages: [], states: [], resumed: 0, refusals: [],
    until: (reached) =>
      new Promise((resolve) => {
        check = () => reached() && resolve();
        check();
      }),
  };
  close = openLive({
    url,
    headers: async (refused) => {
      watched.refusals.push(refused);
      const value = token(refused);
      queueMicrotask(() => check());
      return value === null ? null : { Authorization: `Bearer ${value}` };
    },
    onMessages: (messages) => { watched.messages.push(...messages); check(); },
    onState: (state) => { watched.states.push(state); check(); },
    onResumed: () => { watched.resumed += 1; check(); },
    online: () => true,
    firstPauseMs: 1,
    silenceMs,
  });
  return watched;
}

describe("openLive", () => {
  it("sends the token in a header and gives messages in order", async () => {
    const { url, requests } = await serve([stream(event(1) + event(2))]);
    const watched = watch(url);
    await watched.until(() => watched.messages.length === 2);
    expect(watched.messages.map((message) => message.position)).toEqual([1, 2]);
    expect(requests[0]!.headers.authorization).toBe("Bearer good");
    expect(requests[0]!.url).toBe("/");
    expect(requests[0]!.headers["last-event-id"]).toBeUndefined();
    expect(watched.states).toEqual(["connecting", "connected"]);
  });

  it("goes on after a break from the last event that it saw, and says so", async () => {
    const { url, requests } = await serve([stream(event(1) + event(2), true), stream(event(3))]);
    const watched = watch(url);
    await watched.until(() => watched.messages.length === 3);
    expect(requests[1]!.headers["last-event-id"]).toBe("2");
    expect(watched.states).toEqual(["connecting", "connected", "reconnecting", "connected"]);
    expect(watched.resumed).toBe(1);
  });

  it("tries again when the platform answers with an error", async () => {
    const down: Answer = (_request, response) => response.writeHead(503).end();
    const { url } = await serve([down, down, stream(event(1))]);
    const watched = watch(url);
    await watched.until(() => watched.messages.length === 1);
    expect(watched.states.at(-1)).toBe("connected");
  });

  it("renews a token that ran out, once in a row", async () => {
    const { url, requests } = await serve([
      (_request, response) => response.writeHead(401).end(),
      stream(event(1)),
    ]);
    const watched = watch(url, (refused) => (refused ? "fresh" : "stale"));
    await watched.until(() => watched.messages.length === 1);
    expect(requests.map((request) => request.headers.authorization)).toEqual(["Bearer stale", "Bearer fresh"]);
    expect(watched.states).toEqual(["connecting", "connected"]);
  });

  it("ends when nobody is signed in any more", async () => {
    const { url, requests } = await serve([(_request, response) => response.writeHead(401).end()]);
    const watched = watch(url, (refused) => (refused ? null : "stale"));
    await watched.until(() => watched.refusals.length === 2);
    expect(requests).toHaveLength(1);
  });

  it("takes silence for a dead connection", async () => {
    const { url, requests } = await serve([stream(event(1)), stream(event(2))]);
    const watched = watch(url, () => "good", 300);
    await watched.until(() => watched.messages.length >= 2);
    expect(requests[1]!.headers["last-event-id"]).toBe("1");
  });

  it("passes over what is no message", async () => {
    const { url } = await serve([stream("data: not json\n\ndata: 5\n\ndata: null\n\n" + event(9))]);
    const watched = watch(url);
    await watched.until(() => watched.messages.length === 1);
    expect(watched.messages[0]!.position).toBe(9);
  });
});
