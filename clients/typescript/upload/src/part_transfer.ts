/** Sends parts, several at a time, and repeats each while that may help. */

import { partChecksum } from "./checksums.js";
import { NoResponseError, UploadError } from "./errors.js";
import type { Gateway } from "./gateway.js";
import type { Plan } from "./plan.js";
import { PresignedUrls } from "./presigned_urls.js";
import type { Retry } from "./retry.js";
import type { Route } from "./route.js";
import type { Runtime } from "./runtime.js";

export interface TransferContext {
  file: Blob;
  plan: Plan;
  gateway: Gateway;
  runtime: Runtime;
  retry: Retry;
  route: Route;
  parallel: number;
  signal: AbortSignal;
  /** Called as the bytes of a part leave, and with 0 if they must be sent again. */
  onSent: (partNumber: number, bytes: number) => void;
  /** Called once storage has the part. */
  onStored: (partNumber: number) => void;
}

/** The outcome of one try. */
type Outcome =
  | { kind: "stored" }
  | { kind: "no-response" }
  | { kind: "refused"; error: UploadError; final: boolean }
  | { kind: "service-off" };

/** How often storage may refuse a part before the upload fails: with each try the URL is a new one. */
const MOST_REFUSALS = 6;
const TRANSIENT_STATUSES = new Set([408, 409, 429, 500, 502, 503, 504]);
const SERVICE_OFF = new Set(["VIA_SERVICE_OFF", "PERMISSION_DENIED"]);
/** A gateway that knows no such call, or lets none pass. */
const SERVICE_OFF_STATUSES = new Set([405, 413, 415, 501]);

/** Send the parts, lowest first. The first failure stops the others. */
export async function sendParts(context: TransferContext, numbers: readonly number[]): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const inner = { ...context, signal };
  const urls = new PresignedUrls(inner, numbers, context.parallel);
  const queue = numbers.values();
  const workers = Array.from({ length: Math.min(context.parallel, numbers.length) }, async () => {
    // All share one iterator: a free worker takes the next part.
    for (const partNumber of queue) await new PartSender(inner, urls, partNumber).send();
  });
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}

/** Sends one part. */
class PartSender {
  readonly #context: TransferContext;
  readonly #urls: PresignedUrls;
  readonly #partNumber: number;
  readonly #body: Blob;
  #failures = 0;
  #refusals = 0;
  #unreached = 0;
  #gatewayAnswers = false;

  constructor(context: TransferContext, urls: PresignedUrls, partNumber: number) {
    this.#context = context;
    this.#urls = urls;
    this.#partNumber = partNumber;
    this.#body = context.plan.slice(context.file, partNumber);
  }

  async send(): Promise<void> {
    for (;;) {
      const outcome = await this.#try();
      if (outcome.kind === "stored") {
        this.#context.retry.succeeded();
        this.#context.onStored(this.#partNumber);
        return;
      }
      this.#context.onSent(this.#partNumber, 0);
      await this.#afterFailure(outcome);
    }
  }

  async #try(): Promise<Outcome> {
    const { signal } = this.#context;
    signal.throwIfAborted();
    try {
      return this.#context.route.choose() === "service" ? await this.#viaService() : await this.#direct();
    } catch (error) {
      if (error instanceof NoResponseError) return { kind: "no-response" };
      throw error;
    }
  }

  async #direct(): Promise<Outcome> {
    const part = await this.#urls.take(this.#partNumber);
    const { status, text } = await this.#context.runtime.sendBody({
      method: part.method,
      url: part.url,
      headers: part.headers,
      body: this.#body,
      signal: this.#context.signal,
      onSent: (bytes) => this.#moved(bytes),
    });
    return judge(status, text, this.#context.plan.partCount === 1);
  }

  async #viaService(): Promise<Outcome> {
    const { gateway, plan, signal } = this.#context;
    const checksum = await partChecksum(plan.checksumAlgorithm, this.#body);
    const part = { partNumber: this.#partNumber, body: this.#body, checksum, onSent: (n: number) => this.#moved(n) };
    try {
      await gateway.putPart(part, signal);
      return { kind: "stored" };
    } catch (error) {
      if (!(error instanceof UploadError)) throw error;
      const off = SERVICE_OFF.has(error.reason) || (error.reason === "" && SERVICE_OFF_STATUSES.has(error.status));
      if (off) return { kind: "service-off" };
      return { kind: "refused", error, final: !error.retryable };
    }
  }

  #moved(bytes: number): void {
    this.#context.onSent(this.#partNumber, bytes);
  }

  /** Wait, change the route, or raise the error if no other try would help. */
  async #afterFailure(outcome: Exclude<Outcome, { kind: "stored" }>): Promise<void> {
    const { retry, route, signal } = this.#context;
    this.#failures++;
    if (outcome.kind === "service-off") {
      route.serviceRefused();
      return;
    }
    if (outcome.kind === "refused") {
      this.#unreached = 0;
      this.#refusals++;
      if (outcome.final || this.#refusals >= MOST_REFUSALS) throw outcome.error;
      return retry.backOff(this.#failures, signal, outcome.error.retryAfterMs);
    }
    await this.#checkFile();
    this.#unreached++;
    if (await this.#switched()) return;
    if (retry.isExhausted(this.#failures)) {
      throw new UploadError("STORAGE_UNREACHABLE", "storage cannot be reached; is this page's origin allowed there?");
    }
    await retry.backOff(this.#failures, signal);
  }

  /** Switch to the service if the gateway answers and storage, tried once more after that, does not. */
  async #switched(): Promise<boolean> {
    const { gateway, route, signal } = this.#context;
    if (!route.shouldProbe(this.#unreached)) return false;
    if (this.#gatewayAnswers) {
      route.useService();
      this.#gatewayAnswers = false;
      return true;
    }
    this.#gatewayAnswers = await gateway.answers(signal);
    return this.#gatewayAnswers;
  }

  /** Browsers report a file that was changed or removed as a failed connection. */
  async #checkFile(): Promise<void> {
    try {
      await this.#body.slice(0, 1).arrayBuffer();
    } catch {
      throw new UploadError("FILE_CHANGED", "the file can no longer be read: it was changed, moved or removed");
    }
  }
}

/** Return what an answer of storage means. `single`: the part may be the object itself. */
function judge(status: number, text: string, single: boolean): Outcome {
  if (status >= 200 && status < 300) return { kind: "stored" };
  // An object exists: perhaps ours, from a try whose answer was lost. Complete finds out.
  if (single && status === 412) return { kind: "stored" };
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? "";
  const message = `storage answers ${status} ${code}`.trimEnd();
  const error = new UploadError("STORAGE_REFUSED_PART", message, { status, metadata: { storage_code: code } });
  // 403: the URL expired. 400: bytes that were damaged on their way, or a connection that was too slow.
  const final = !(TRANSIENT_STATUSES.has(status) || status === 403 || status === 400);
  return { kind: "refused", error, final };
}
