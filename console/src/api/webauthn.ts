// Passkeys: what the platform sends as JSON becomes what the browser wants, and its answer becomes JSON again.
import type { Json, JsonObject } from "./types";

/** Whether this browser can use passkeys here: a secure context, WebAuthn at all, and a name, because they belong to one. */
export function canUsePasskeys(): boolean {
  const { hostname } = window.location;
  const isAddress = /^[\d.]+$/.test(hostname) || hostname.startsWith("[");
  return typeof PublicKeyCredential !== "undefined" && window.isSecureContext && !isAddress;
}

/** Lets the authenticator make a passkey; null when the person called it off. */
export async function makePasskey(options: JsonObject): Promise<JsonObject | null> {
  return asked(() => navigator.credentials.create({ publicKey: decoded(options) as unknown as PublicKeyCredentialCreationOptions }));
}

/** Lets the authenticator sign; null when the person called it off. */
export async function usePasskey(options: JsonObject): Promise<JsonObject | null> {
  return asked(() => navigator.credentials.get({ publicKey: decoded(options) as unknown as PublicKeyCredentialRequestOptions }));
}

async function asked(ask: () => Promise<Credential | null>): Promise<JsonObject | null> {
  try {
    const credential = await ask();
    return credential instanceof PublicKeyCredential ? encoded(credential) : null;
  } catch (error) {
    if (error instanceof DOMException && (error.name === "NotAllowedError" || error.name === "AbortError")) return null;
    throw error;
  }
}

/* The fields of the options that are bytes, wherever they stand. */
const BYTES = new Set(["challenge", "id"]);

function decoded(value: Json, name = "", parent = ""): unknown {
  if (typeof value === "string") return BYTES.has(name) && parent !== "rp" ? bytesOf(value) : value;
  if (Array.isArray(value)) return value.map((one) => decoded(one, name, name));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, decoded(one, key, name)]));
}

function encoded(credential: PublicKeyCredential): JsonObject {
  const response = credential.response;
  const fields: JsonObject = { clientDataJSON: base64url(response.clientDataJSON) };
  if (response instanceof AuthenticatorAttestationResponse) {
    fields["attestationObject"] = base64url(response.attestationObject);
    fields["transports"] = response.getTransports();
  } else if (response instanceof AuthenticatorAssertionResponse) {
    fields["authenticatorData"] = base64url(response.authenticatorData);
    fields["signature"] = base64url(response.signature);
    fields["userHandle"] = response.userHandle === null ? null : base64url(response.userHandle);
  }
  return {
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults() as JsonObject,
    response: fields,
  };
}

function bytesOf(text: string): Uint8Array {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function base64url(bytes: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
