// Exchanges of the refresh token from many pages of one browser, some of which go too early: no token may be sent twice.
import { describe, expect, it } from "vitest";
import { inTurn, type Browser } from "../src/api/turns";

const PATIENCE_MS = 5_000;
const NEVER = new Promise<never>(() => undefined);

/** A clock that moves only when everybody waits. */
class Clock {
  now = 1_000_000;
  private waiting: { at: number; go: () => void }[] = [];

  pause = (milliseconds: number): Promise<void> =>
    new Promise((go) => {
      this.waiting.push({ at: this.now + milliseconds, go });
    });

  async run(until: number): Promise<void> {
    for (;;) {
      // What was woken goes as far as it can before the time moves on.
      for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
      this.waiting.sort((one, other) => one.at - other.at);
      const next = this.waiting[0];
      if (next === undefined || next.at > until) break;
      this.waiting.shift();
      this.now = Math.max(this.now, next.at);
      next.go();
    }
    this.now = Math.max(this.now, until);
  }
}

/** A platform that rotates tokens and ends the session when one comes twice, and the browser before it. */
class World {
  clock = new Clock();
  ended = false;
  exchanges = 0;
  cookie = { token: 0, rotation: "" };
  private used = new Set<number>();
  private stored = new Map<string, string>();
  private queue: Promise<unknown> = Promise.resolve();

  /** A page, and what makes it go: nothing that it began and waits for is ever heard of again. */
  page(withLocks: boolean, notes: Browser["notes"] = this.notes()): { browser: Browser; leave: () => void } {
    let leave = (): void => undefined;
    const gone = new Promise<"gone">((resolve) => {
      leave = () => resolve("gone");
    });
    const browser: Browser = {
      locks: withLocks ? this.locks(gone) : null,
      notes,
      cookies: () => (this.cookie.rotation === "" ? "" : `other=1; fettle_rotation=${this.cookie.rotation}`),
      now: () => this.clock.now,
      pause: async (milliseconds) => {
        if ((await Promise.race([gone, this.clock.pause(milliseconds)])) === "gone") await NEVER;
      },
    };
    return { browser, leave };
  }

  browser(withLocks: boolean, notes: Browser["notes"] = this.notes()): Browser {
    return this.page(withLocks, notes).browser;
  }

  /** One exchange: the token goes now, the answer's cookies come after a while, and the page reads them last. */
  exchange = (latency: number): (() => Promise<boolean>) => async () => {
    this.exchanges += 1;
    const { token } = this.cookie;
    if (this.used.has(token)) this.ended = true;
    this.used.add(token);
    await this.clock.pause(latency);
    this.cookie = { token: token + 1, rotation: `r${token + 1}` };
    return !this.ended;
  };

  /** A page that goes a moment after it was opened; an exchange that it has begun goes on by itself. */
  async goesAfter(milliseconds: number, latency: number, withLocks: boolean): Promise<void> {
    const { browser, leave } = this.page(withLocks);
    void inTurn(this.exchange(latency), browser);
    await this.clock.run(this.clock.now + milliseconds);
    leave();
  }

  private notes(): NonNullable<Browser["notes"]> {
    return {
      getItem: (key) => this.stored.get(key) ?? null,
      setItem: (key, value) => void this.stored.set(key, value),
      removeItem: (key) => void this.stored.delete(key),
    };
  }

  /* The lock of a page that goes is given back at once, and its place in the queue given up. */
  private locks(gone: Promise<"gone">): NonNullable<Browser["locks"]> {
    const request = (_name: string, run: () => Promise<unknown>): Promise<unknown> => {
      const answer = this.queue.then(async () => ((await Promise.race([gone, Promise.resolve()])) === "gone" ? NEVER : run()));
      this.queue = Promise.race([answer.catch(() => undefined), gone]);
      return answer;
    };
    return { request: request as LockManager["request"] };
  }
}

describe.each([{ withLocks: true }, { withLocks: false }])("with a lock: $withLocks", ({ withLocks }) => {
  it.each([0, 10, 300, 2_000])("a page that comes while the answer of a page that is gone takes %i ms", async (latency) => {
    const world = new World();
    await world.goesAfter(100, latency, withLocks);
    const next = inTurn(world.exchange(20), world.browser(withLocks));
    await world.clock.run(world.clock.now + 10_000);
    expect(await next).toBe(true);
    expect([world.exchanges, world.cookie.token]).toEqual([2, 2]);
  });

  it.each([10, 40, 65, 90, 200])("many reloads, each after %i ms", async (between) => {
    const world = new World();
    for (let load = 0; load < 12; load += 1) await world.goesAfter(between, 70, withLocks);
    const last = inTurn(world.exchange(20), world.browser(withLocks));
    await world.clock.run(world.clock.now + 60_000);
    expect(await last).toBe(true);
  });

  it("several pages that begin in the same moment", async () => {
    const world = new World();
    const pages = Array.from({ length: 6 }, () => inTurn(world.exchange(50), world.browser(withLocks)));
    await world.clock.run(world.clock.now + 60_000);
    expect(await Promise.all(pages)).toEqual(pages.map(() => true));
    expect(world.cookie.token).toBe(6);
  });

  it("an answer that never comes is waited for, but not for ever", async () => {
    const world = new World();
    const browser = world.browser(withLocks);
    await expect(inTurn(() => Promise.reject(new Error("unreachable")), { ...browser, pause: () => Promise.resolve() })).rejects.toThrow("unreachable");
    const began = world.clock.now;
    let answered = 0;
    const next = inTurn(() => {
      answered = world.clock.now;
      return Promise.resolve(true);
    }, browser);
    await world.clock.run(began + 20_000);
    expect(await next).toBe(true);
    expect(answered - began).toBeGreaterThanOrEqual(PATIENCE_MS);
    expect(answered - began).toBeLessThan(PATIENCE_MS + 200);
  });

  it("after an answer that was read, the next goes at once", async () => {
    const world = new World();
    const browser = world.browser(withLocks);
    const refused = inTurn(() => Promise.resolve(false), browser);
    await world.clock.run(world.clock.now + 1_000);
    expect(await refused).toBe(false);
    const began = world.clock.now;
    const next = inTurn(() => Promise.resolve(world.clock.now), browser);
    await world.clock.run(began + 1_000);
    expect((await next) - began).toBeLessThan(100);
  });

  it("where nothing can be stored, it goes all the same", async () => {
    const world = new World();
    const full = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    for (const notes of [null, { getItem: () => "not what we wrote", setItem: full, removeItem: full }]) {
      const asked = inTurn(() => Promise.resolve(true), world.browser(withLocks, notes));
      await world.clock.run(world.clock.now + 1_000);
      expect(await asked).toBe(true);
    }
  });

  it("a note from a clock that ran ahead holds nobody up", async () => {
    const world = new World();
    world.clock.now += 3_600_000;
    await world.goesAfter(100, 60_000_000, withLocks);
    world.clock.now -= 3_600_000;
    const next = inTurn(() => Promise.resolve(true), world.browser(withLocks));
    await world.clock.run(world.clock.now + 200);
    expect(await next).toBe(true);
  });
});
