// Who is signed in: the access token lives in this module's memory alone, the refresh token in a cookie no script sees.
import type { Challenge, InvitationLook, PasskeyOptions, SignInProvider } from "./identity";
import { ApiProblem } from "./problem";
import { inTurn } from "./turns";
import type { JsonObject, SignIn } from "./types";

export type SessionState = "starting" | "signed-out" | "change-password" | "signed-in" | "unreachable";

const EXPIRY_MARGIN_MS = 30_000;

let accessToken: string | null = null;
let expiresAt = 0;
let state: SessionState = "starting";
let expired = false;
let refreshing: Promise<boolean> | null = null;
const listeners = new Set<() => void>();
const otherTabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("fettle-session");

otherTabs?.addEventListener("message", (message: MessageEvent<unknown>) => {
  if (message.data === "signed-out" && state !== "signed-out") forget();
});

export const session = {
  state: (): SessionState => state,

  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  /** Picks up the session that the cookie still holds, if any. */
  async start(): Promise<void> {
    setState("starting");
    try {
      if (!(await refresh())) setState("signed-out");
    } catch {
      setState("unreachable");
    }
  },

  /** Whether somebody was signed in on this page and the platform ended it. */
  hasExpired: (): boolean => expired,

  /** The first half of a sign-in; a challenge where a second factor is to follow. */
  async signIn(email: string, password: string): Promise<Challenge | null> {
    return begun(await answerOf<SignIn | Challenge>("auth/login", { email, password }));
  },

  /** The second half: a code of the app, or a recovery code. */
  async answerChallenge(challenge: string, method: "totp" | "recovery_code", code: string): Promise<void> {
    accept(await answerOf<SignIn>("auth/mfa", { challenge, method, code }));
  },

  /** What a passkey is to sign: as the whole sign-in, or as the second half of one. */
  passkeyOptions(challenge?: string): Promise<PasskeyOptions> {
    return answerOf("auth/passkeys/options", challenge === undefined ? {} : { challenge });
  },

  async answerWithPasskey(challengeId: string, credential: JsonObject, challenge?: string): Promise<void> {
    const body = { challenge_id: challengeId, credential, ...(challenge === undefined ? {} : { challenge }) };
    accept(await answerOf<SignIn>("auth/passkeys/verify", body));
  },

  /** The providers that sign in people of an address's domain. */
  async providersOf(email: string): Promise<SignInProvider[]> {
    const response = await fetch(`/api/v1/auth/providers?${new URLSearchParams({ email }).toString()}`);
    if (!response.ok) return [];
    return (await response.json()) as SignInProvider[];
  },

  /** The answer is the same whether there is such an account or not. */
  async forgotPassword(email: string): Promise<void> {
    await answerOf("auth/password/forgot", { email });
  },

  async resetPassword(token: string, newPassword: string): Promise<void> {
    await answerOf("auth/password/reset", { token, new_password: newPassword });
  },

  lookAtInvitation: (token: string): Promise<InvitationLook> => answerOf("auth/invitations/look", { token }),

  /** Whoever has no account yet gets one with the name and the password. */
  async acceptInvitation(token: string, account: { name?: string; password: string }): Promise<void> {
    await answerOf("auth/invitations/accept", { token, ...account });
  },

  /** Replaces the password; whoever had a one-time password may go on afterwards. */
  async changePassword(current: string, next: string): Promise<void> {
    const response = await post(
      "/api/v1/auth/password",
      { current_password: current, new_password: next },
      await session.token(),
    );
    if (!response.ok) throw await ApiProblem.from(response);
    const answer = response.status === 204 ? null : ((await response.json()) as Partial<SignIn>);
    if (answer?.access_token !== undefined) accept(answer as SignIn);
    else {
      accessToken = null;
      if (!(await refresh())) setState("signed-out");
    }
  },

  async signOut(): Promise<void> {
    const token = accessToken;
    forget();
    otherTabs?.postMessage("signed-out");
    await post("/api/v1/auth/logout", {}, token).catch(() => undefined);
  },

  /** A token that is good for some time yet, or null when nobody is signed in. */
  async token(): Promise<string | null> {
    if (accessToken !== null && Date.now() < expiresAt - EXPIRY_MARGIN_MS) return accessToken;
    return (await refresh()) ? accessToken : null;
  },

  /** Called when the platform refused the token although it looked good. */
  async renew(refused: string | null): Promise<string | null> {
    if (accessToken !== null && accessToken !== refused) return accessToken;
    accessToken = null;
    if (await refresh()) return accessToken;
    if (state !== "starting") {
      expired = state === "signed-in";
      forget();
    }
    return null;
  },
};

/* Refresh tokens rotate, and one used twice ends its family: two pages must never send the same one. */
function refresh(): Promise<boolean> {
  refreshing ??= inTurn(exchangeCookie).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function exchangeCookie(): Promise<boolean> {
  const response = await post("/api/v1/auth/refresh", {});
  if (response.ok) {
    accept((await response.json()) as SignIn);
    return true;
  }
  if (response.status >= 500 || response.status === 429) throw await ApiProblem.from(response);
  return false;
}

function begun(answer: SignIn | Challenge): Challenge | null {
  if ("mfa_required" in answer) return answer;
  accept(answer);
  return null;
}

function accept(signedIn: SignIn): void {
  expired = false;
  accessToken = signedIn.access_token;
  expiresAt = Date.now() + signedIn.expires_in * 1000;
  setState(signedIn.must_change_password ? "change-password" : "signed-in");
}

function forget(): void {
  accessToken = null;
  expiresAt = 0;
  setState("signed-out");
}

function setState(next: SessionState): void {
  if (next === state) return;
  state = next;
  for (const listener of listeners) listener();
}

/* Kept alive, so that the browser takes the answer's cookies even if the page goes meanwhile. */
async function post(path: string, body: object, token: string | null = null): Promise<Response> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (token !== null) headers["Authorization"] = `Bearer ${token}`;
  try {
    return await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin", keepalive: true });
  } catch {
    throw ApiProblem.unreachable();
  }
}

async function answerOf<Answer>(path: string, body: object): Promise<Answer> {
  const response = await post(`/api/v1/${path}`, body);
  if (!response.ok) throw await ApiProblem.from(response);
  return (response.status === 204 ? undefined : await response.json().catch(() => undefined)) as Answer;
}
