// One request to the platform: token, tenant, idempotency, one renewal on 401, and problems thrown as ApiProblem.
import { ApiProblem } from "./problem";
import { session } from "./session";

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  tenantId?: string | undefined;
  query?: URLSearchParams | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

export async function request<Answer>(path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await send(path, options);
  if (response.status === 204) return undefined as Answer;
  return (await response.json()) as Answer;
}

/** Fetches a file and hands it to the browser under the name that the platform gave it. */
export async function download(path: string, fallbackName: string, options: RequestOptions = {}): Promise<void> {
  const response = await send(path, options);
  const disposition = response.headers.get("Content-Disposition") ?? "";
  const name = /filename="?([^";]+)"?/.exec(disposition)?.[1] ?? fallbackName;
  handOver(await response.blob(), name);
}

/** Gives the person a file. */
export function handOver(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

async function send(path: string, options: RequestOptions): Promise<Response> {
  const headers = headersOf(options);
  let token = await session.token();
  let response = await attempt(path, options, headers, token);
  if (response.status === 401) {
    token = await session.renew(token);
    if (token !== null) response = await attempt(path, options, headers, token);
  }
  if (!response.ok) throw await ApiProblem.from(response);
  return response;
}

function headersOf(options: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.tenantId !== undefined) headers["X-Tenant-ID"] = options.tenantId;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  // The renewal above may send a command twice; the same key makes the second one the first.
  if (options.method === "POST") headers["Idempotency-Key"] = randomKey();
  return headers;
}

async function attempt(
  path: string,
  { method = "GET", query, body, signal }: RequestOptions,
  headers: Record<string, string>,
  token: string | null,
): Promise<Response> {
  const parameters = query?.toString() ?? "";
  try {
    return await fetch(`/api/v1/${path}${parameters === "" ? "" : `?${parameters}`}`, {
      method,
      headers: token === null ? headers : { ...headers, Authorization: `Bearer ${token}` },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw ApiProblem.unreachable();
  }
}

/* crypto.randomUUID is missing where the console is opened over plain HTTP from another machine. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
