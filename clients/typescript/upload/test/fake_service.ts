/** A service and its storage in memory, with a clock that moves only while somebody waits. */

import type { BodyAnswer, BodyRequest } from "../src/http_put.js";
import { NoResponseError } from "../src/errors.js";
import type { Runtime } from "../src/index.js";
import { rangesOf } from "../src/plan.js";
import type { PartRange } from "../src/wire.js";

export const GATEWAY = "https://gateway.test";
export const UPLOAD_ID = "upload-1";
export const TOKEN = "secret-token";
const STORAGE = "https://storage.test/key?X-Amz-Signature=secret-signature";

interface Answer {
  status: number;
  body: unknown;
}

export class FakeService {
  readonly stored = new Map<number, Uint8Array>();
  readonly calls: string[] = [];
  readonly reported: number[] = [];
  readonly headersOfPuts: Record<string, string>[] = [];
  readonly sleeps: number[] = [];
  readonly presigned: PartRange[][] = [];
  readonly checksums = new Map<number, string>();
  state = "UPLOAD_STATE_ACTIVE";
  abortReason = "ABORT_REASON_UNSPECIFIED";
  token = TOKEN;
  checksumAlgorithm = "CHECKSUM_ALGORITHM_NONE";
  clock = 0;
  inFlight = 0;
  mostInFlight = 0;
  pollsWhileCompleting = 0;
  /** Answers a call instead of the service; undefined lets it through. */
  onCall: (method: string, path: string) => Answer | "offline" | undefined = () => undefined;
  /** Answers a PUT instead of storage. */
  onPut: (partNumber: number, url: string) => BodyAnswer | "offline" | undefined = () => undefined;

  constructor(
    readonly sizeBytes: number,
    readonly partSizeBytes: number,
  ) {}

  get partCount(): number {
    return Math.max(1, Math.ceil(this.sizeBytes / this.partSizeBytes));
  }

  get runtime(): Runtime {
    return {
      fetch: (url, init) => this.#fetch(url, init),
      sendBody: (request) => this.#sendBody(request),
      now: () => this.clock,
      random: () => 0.5,
      sleep: async (milliseconds, signal) => {
        signal.throwIfAborted();
        this.sleeps.push(milliseconds);
        this.clock += milliseconds;
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      },
    };
  }

  bytes(): Uint8Array {
    return Buffer.concat([...this.stored.entries()].sort(([a], [b]) => a - b).map(([, part]) => part));
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    await new Promise((resolve) => setImmediate(resolve));
    init.signal?.throwIfAborted();
    const path = url.replace(`${GATEWAY}/v1/uploads/${UPLOAD_ID}`, "");
    this.calls.push(`${init.method} ${path}`);
    const answer = this.onCall(init.method ?? "", path) ?? this.#answer(path, init);
    if (answer === "offline") throw new TypeError(`fetch failed: ${url}`);
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  }

  #answer(path: string, init: RequestInit): Answer {
    const { authorization } = init.headers as Record<string, string>;
    if (authorization !== `Partway ${this.token}`) return refusal(401, 16, "UPLOAD_TOKEN_EXPIRED");
    const body = init.body === undefined ? {} : JSON.parse(init.body as string);
    if (path === ":batchPresignParts") return { status: 200, body: { parts: this.#presign(body) } };
    if (path === "/parts:report") {
      this.reported.push(...body.parts.map((part: { partNumber: number }) => part.partNumber));
      return { status: 200, body: {} };
    }
    if (path === ":complete") return this.#complete();
    if (path === ":abort") {
      if (this.state !== "UPLOAD_STATE_ACTIVE") return refusal(400, 9, "UPLOAD_NOT_ACTIVE");
      this.state = "UPLOAD_STATE_ABORTED";
      this.stored.clear();
    }
    if (this.state === "UPLOAD_STATE_COMPLETING" && --this.pollsWhileCompleting <= 0) this.state = "UPLOAD_STATE_COMPLETED";
    return { status: 200, body: { upload: this.#upload(), progress: { missing: this.#missing() } } };
  }

  #complete(): Answer {
    if (this.#missing().length > 0) return refusal(400, 9, "PARTS_MISSING", { missing_count: "1" });
    this.state = this.pollsWhileCompleting > 0 ? "UPLOAD_STATE_COMPLETING" : "UPLOAD_STATE_COMPLETED";
    return { status: 200, body: { upload: this.#upload() } };
  }

  #upload() {
    const completing = this.state === "UPLOAD_STATE_COMPLETING";
    return {
      id: UPLOAD_ID,
      state: this.state,
      object: { uri: "s3://bucket/key" },
      sizeBytes: String(this.sizeBytes),
      partSizeBytes: String(this.partSizeBytes),
      partCount: this.partCount,
      checksumAlgorithm: this.checksumAlgorithm,
      abortReason: this.abortReason,
      ...(completing ? { retryDelay: "0.250s" } : {}),
    };
  }

  #missing(): PartRange[] {
    const numbers = Array.from({ length: this.partCount }, (_, index) => index + 1);
    return rangesOf(numbers.filter((number) => !this.stored.has(number)));
  }

  #presign(request: { ranges: PartRange[]; checksums: { partNumber: number; checksum: string }[] }) {
    this.presigned.push(request.ranges);
    for (const { partNumber, checksum } of request.checksums) this.checksums.set(partNumber, checksum);
    return request.ranges.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => ({
        partNumber: first + index,
        method: "PUT",
        url: `${STORAGE}&partNumber=${first + index}`,
        headers: { "x-signed": "yes" },
      })),
    );
  }

  async #sendBody(request: BodyRequest): Promise<BodyAnswer> {
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    this.inFlight--;
    request.signal.throwIfAborted();
    const partNumber = Number(/(?:partNumber=|\/parts\/)(\d+)/.exec(request.url)?.[1]);
    const answer = this.onPut(partNumber, request.url);
    if (answer === "offline") throw new NoResponseError("the connection failed");
    if (answer !== undefined) return answer;
    const bytes = new Uint8Array(await request.body.arrayBuffer());
    request.onSent(bytes.length);
    this.headersOfPuts.push({ ...request.headers });
    this.stored.set(partNumber, bytes);
    return { status: 200, text: "" };
  }
}

/** Return an error as the gateway writes it. */
export function refusal(status: number, code: number, reason: string, metadata = {}, retryDelay?: string): Answer {
  const details: object[] = [
    { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: `ERROR_REASON_${reason}`, domain: "partway", metadata },
  ];
  if (retryDelay) details.push({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay });
  return { status, body: { code, message: `refused: ${reason}`, details } };
}
