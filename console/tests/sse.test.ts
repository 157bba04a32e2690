// The event stream reader, tried with what servers really send and with every way of cutting it.
import { describe, expect, it } from "vitest";
import { serverEventReader, type ServerEvent } from "../src/api/sse";

const STREAM = [
  ": hello\n\n",
  "retry: 750\n\n",
  'id: 41\nevent: incident_opened\ndata: {"a":1}\n\n',
  "data: two\r\ndata:lines\r\n\r\n",
  "id\rdata:  kept space\r\r",
  "event: nothing to tell\n\n",
  "data\n\n",
  "unknown: field\ndata: ü€😀\n\n",
].join("");

const EXPECTED: ServerEvent[] = [
  { id: "41", type: "incident_opened", data: '{"a":1}' },
  { id: "41", type: "message", data: "two\nlines" },
  { id: "", type: "message", data: " kept space" },
  { id: "", type: "message", data: "" },
  { id: "", type: "message", data: "ü€😀" },
];

function readIn(pieces: string[]): ServerEvent[] {
  const reader = serverEventReader();
  return pieces.flatMap((piece) => reader.push(piece));
}

describe("serverEventReader", () => {
  it("reads a whole stream", () => {
    expect(readIn([STREAM])).toEqual(EXPECTED);
  });

  it("reads the same however the stream is cut", () => {
    expect(readIn([...STREAM])).toEqual(EXPECTED);
    for (let size = 2; size < 40; size += 1) {
      const pieces = STREAM.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
      expect(readIn(pieces)).toEqual(EXPECTED);
    }
  });

  it("gives nothing before the empty line, and nothing of an event that was cut off", () => {
    const reader = serverEventReader();
    expect(reader.push("id: 7\ndata: half")).toEqual([]);
    expect(reader.push("\n")).toEqual([]);
    expect(reader.push("\n")).toEqual([{ id: "7", type: "message", data: "half" }]);
  });

  it("remembers where to resume, also before the first event", () => {
    const reader = serverEventReader("12");
    expect(reader.lastEventId()).toBe("12");
    reader.push("data: x\n\n");
    expect(reader.lastEventId()).toBe("12");
    reader.push("id: 13\n\n");
    expect(reader.lastEventId()).toBe("13");
  });

  it("does not take an id with a null character, nor a pause that is no number", () => {
    const reader = serverEventReader("5");
    reader.push("id: 6\0\nretry: soon\ndata: x\n\n");
    expect(reader.lastEventId()).toBe("5");
    expect(reader.retryMs()).toBeNull();
    reader.push("retry: 900\n");
    expect(reader.retryMs()).toBe(900);
  });

  it("passes over a byte order mark at the very start alone", () => {
    expect(readIn(["\uFEFFdata: a\n\n\uFEFFdata: b\n\n"])).toEqual([{ id: "", type: "message", data: "a" }]);
  });
});
