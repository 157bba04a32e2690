// Reads Server-Sent Events out of chunks of text, as the HTML standard's event stream interpretation lays down.

export interface ServerEvent {
  id: string;
  type: string;
  data: string;
}

export interface ServerEventReader {
  /** Takes the next chunk, cut anywhere, and returns the events that are now whole. */
  push(chunk: string): ServerEvent[];
  /** The id to resume from; it outlives the event that set it. */
  lastEventId(): string;
  /** The pause before the next attempt that the server asked for, if it did. */
  retryMs(): number | null;
}

export function serverEventReader(resumeFrom = ""): ServerEventReader {
  let buffer = "";
  let first = true;
  let lastId = resumeFrom;
  let retry: number | null = null;
  let type = "";
  let data: string[] = [];

  const finish = (): ServerEvent | null => {
    const event = data.length === 0 ? null : { id: lastId, type: type === "" ? "message" : type, data: data.join("\n") };
    type = "";
    data = [];
    return event;
  };

  const field = (name: string, value: string): void => {
    if (name === "data") data.push(value);
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) lastId = value;
    else if (name === "retry" && /^\d+$/.test(value)) retry = Number(value);
  };

  const line = (text: string): ServerEvent | null => {
    if (text === "") return finish();
    const colon = text.indexOf(":");
    if (colon === 0) return null;
    if (colon < 0) field(text, "");
    else field(text.slice(0, colon), text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1));
    return null;
  };

  return {
    push(chunk) {
      buffer += first && chunk.startsWith("\uFEFF") ? chunk.slice(1) : chunk;
      if (chunk !== "") first = false;
      const events: ServerEvent[] = [];
      let start = 0;
      for (;;) {
        const end = nextLineEnd(buffer, start);
        if (end === null) break;
        const event = line(buffer.slice(start, end.at));
        if (event !== null) events.push(event);
        start = end.next;
      }
      buffer = buffer.slice(start);
      return events;
    },
    lastEventId: () => lastId,
    retryMs: () => retry,
  };
}

/* A carriage return at the very end may be the first half of a CRLF, so it ends nothing yet. */
function nextLineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let at = from; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\n") return { at, next: at + 1 };
    if (char === "\r") {
      if (at + 1 === text.length) return null;
      return { at, next: text[at + 1] === "\n" ? at + 2 : at + 1 };
    }
  }
  return null;
}
