// What went wrong with a request, in words for the person at the screen: an RFC 9457 document or a lost connection.
import { t } from "../texts";

export interface FieldFault {
  pointer: string;
  detail: string;
}

interface Document {
  type?: string;
  title?: string;
  detail?: string;
  instance?: string;
  errors?: FieldFault[];
}

export class ApiProblem extends Error {
  override readonly name = "ApiProblem";

  constructor(
    readonly status: number,
    readonly type: string,
    readonly title: string,
    readonly detail: string,
    readonly requestId: string | null,
    readonly faults: FieldFault[] = [],
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(detail || title);
  }

  /** Reads a refused response; a body that is no problem document (a proxy's page, say) still gives words. */
  static async from(response: Response): Promise<ApiProblem> {
    const document = await readDocument(response);
    return new ApiProblem(
      response.status,
      document.type ?? "about:blank",
      document.title ?? t.problem.titleOf(response.status),
      document.detail ?? "",
      document.instance ?? response.headers.get("X-Request-ID"),
      document.errors ?? [],
      secondsOf(response.headers.get("Retry-After")),
    );
  }

  static unreachable(): ApiProblem {
    return new ApiProblem(0, "urn:fettle:console:unreachable", t.problem.unreachableTitle, t.problem.unreachable, null);
  }

  /** What the person can do about it. */
  get advice(): string {
    if (this.status === 429) return t.problem.waitSeconds(this.retryAfterSeconds ?? 30);
    return t.problem.adviceOf(this.status);
  }
}

/** What is wrong with one field of what was sent, by its JSON pointer; undefined where nothing is. */
export function faultOf(error: Error | null, pointer: string): string | undefined {
  if (!(error instanceof ApiProblem)) return undefined;
  return error.faults.find((fault) => fault.pointer === pointer || fault.pointer === `/body${pointer}`)?.detail;
}

async function readDocument(response: Response): Promise<Document> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? (body as Document) : {};
  } catch {
    return {};
  }
}

function secondsOf(header: string | null): number | null {
  const seconds = Number(header);
  return header !== null && Number.isFinite(seconds) ? seconds : null;
}
