// One exchange of the refresh token at a time in a browser, over its tabs and over pages that go while theirs is under way.

/*
 * A refresh token that comes twice ends its session, so an exchange must wait until the browser holds the answer of
 * the one before. A Web Lock keeps pages that are open apart. A page that is gone holds no lock, but its exchange goes
 * on without it: what it noted before it began, beside a cookie that every answer changes, tells the next page.
 */

const LOCK = "fettle-session";
const NOTE = "fettle-exchange";
const ROTATION_COOKIE = "fettle_rotation";
const LOOK_MS = 25;
/* Two pages that begin in the same moment, where there is no lock, see after this time whose note stayed. */
const SETTLE_MS = 60;
/* For an answer that does not come: the request never left, or the platform is away. */
const PATIENCE_MS = 5_000;

export interface Browser {
  /** Null where pages have no lock: on plain http from another machine. */
  locks: Pick<LockManager, "request"> | null;
  notes: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  cookies: () => string;
  now: () => number;
  pause: (milliseconds: number) => Promise<void>;
}

interface Note {
  /** The page's own, so that it takes no other's away. */
  by: string;
  /** What the rotation cookie was when the exchange began. */
  rotation: string;
  at: number;
}

/** Runs an exchange when no other of this browser is under way. */
export function inTurn<Answer>(exchange: () => Promise<Answer>, browser: Browser = thisBrowser()): Promise<Answer> {
  if (browser.locks !== null) return browser.locks.request(LOCK, () => noted(exchange, browser)) as Promise<Answer>;
  return noted(exchange, browser);
}

async function noted<Answer>(exchange: () => Promise<Answer>, browser: Browser): Promise<Answer> {
  const by = pageName();
  await begin(by, browser);
  const answer = await exchange();
  // Only now: an exchange that failed on its way may have been done all the same, and its cookie may come yet.
  if (read(browser)?.by === by) write(null, browser);
  return answer;
}

async function begin(by: string, browser: Browser): Promise<void> {
  do {
    while (isUnderWay(read(browser), browser)) await browser.pause(LOOK_MS);
    const kept = write({ by, rotation: rotationIn(browser.cookies()), at: browser.now() }, browser);
    if (browser.locks !== null || !kept) return;
    await browser.pause(SETTLE_MS);
  } while (read(browser)?.by !== by);
}

function isUnderWay(note: Note | null, browser: Browser): boolean {
  if (note === null || note.rotation !== rotationIn(browser.cookies())) return false;
  const age = browser.now() - note.at;
  // A clock that was set back must not make anybody wait for long.
  return age >= 0 && age < PATIENCE_MS;
}

function rotationIn(cookies: string): string {
  return new RegExp(`(?:^|; )${ROTATION_COOKIE}=([^;]*)`).exec(cookies)?.[1] ?? "";
}

function read(browser: Browser): Note | null {
  try {
    const note = JSON.parse(browser.notes?.getItem(NOTE) ?? "null") as Partial<Note> | null;
    if (typeof note?.by !== "string" || typeof note.rotation !== "string" || typeof note.at !== "number") return null;
    return { by: note.by, rotation: note.rotation, at: note.at };
  } catch {
    return null;
  }
}

/* Where nothing can be stored, the lock alone must do. */
function write(note: Note | null, browser: Browser): boolean {
  if (browser.notes === null) return false;
  try {
    if (note === null) browser.notes.removeItem(NOTE);
    else browser.notes.setItem(NOTE, JSON.stringify(note));
    return true;
  } catch {
    return false;
  }
}

function pageName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function thisBrowser(): Browser {
  return {
    locks: "locks" in navigator ? navigator.locks : null,
    notes: storage(),
    cookies: () => document.cookie,
    now: () => Date.now(),
    pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  };
}

function storage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
