/** The calls of one Upload to the REST gateway, repeated while that may help. */

import { expand } from "./compact_parts.js";
import { errorOfAnswer, NoResponseError, UploadError } from "./errors.js";
import type { Retry } from "./retry.js";
import type { Runtime } from "./runtime.js";
import type { CompactParts, PartRange, PresignedPart, SentPart, StatusResponse, UploadResource } from "./wire.js";

/** Returns a new token for the Upload, from whoever made the one before. */
export type RenewToken = () => Promise<string>;

export interface GatewayOptions {
  gateway: string;
  uploadId: string;
  token: string | undefined;
  renewToken: RenewToken | undefined;
}

export interface PartChecksum {
  partNumber: number;
  checksum: string;
}

const CALL_TIMEOUT_MS = 90_000;
const PROBE_TIMEOUT_MS = 10_000;
/** How often to try if the gateway has never answered: the address may be wrong. */
const FIRST_TRIES = 4;
/** How many tokens in a row may be refused. */
const MOST_RENEWALS = 3;
const RENEWABLE = new Set(["UPLOAD_TOKEN_EXPIRED", "CREDENTIALS_REJECTED", "CALLER_UNKNOWN"]);

export class Gateway {
  readonly #runtime: Runtime;
  readonly #retry: Retry;
  readonly #base: string;
  readonly #renewToken: RenewToken | undefined;
  #token: string | undefined;
  #renewal: Promise<void> | undefined;
  #renewals = 0;
  #answered = false;

  constructor(options: GatewayOptions, runtime: Runtime, retry: Retry) {
    this.#runtime = runtime;
    this.#retry = retry;
    this.#base = `${options.gateway.replace(/\/+$/, "")}/v1/uploads/${encodeURIComponent(options.uploadId)}`;
    this.#token = options.token;
    this.#renewToken = options.renewToken;
  }

  status(signal: AbortSignal, withProgress: boolean): Promise<StatusResponse> {
    return this.#call("GET", withProgress ? "?view=STATUS_VIEW_PROGRESS" : "", undefined, signal);
  }

  async presign(ranges: PartRange[], checksums: PartChecksum[], signal: AbortSignal): Promise<PresignedPart[]> {
    type Answer = { parts?: PresignedPart[]; compactParts?: CompactParts };
    const request = { ranges, checksums, compact: true };
    const { parts, compactParts } = await this.#call<Answer>("POST", ":batchPresignParts", request, signal);
    // Without, it is a single PUT, or a service that has no compact form.
    return compactParts ? expand(compactParts, checksums) : (parts ?? []);
  }

  async report(parts: SentPart[], signal: AbortSignal): Promise<void> {
    await this.#call("POST", "/parts:report", { parts }, signal);
  }

  async complete(signal: AbortSignal): Promise<UploadResource> {
    return (await this.#call<StatusResponse>("POST", ":complete", {}, signal)).upload;
  }

  async abort(signal: AbortSignal): Promise<UploadResource> {
    return (await this.#call<StatusResponse>("POST", ":abort", {}, signal)).upload;
  }

  /** Send one part through the service, once. Rejects with UploadError or NoResponseError. */
  async putPart(
    part: { partNumber: number; body: Blob; checksum: string | undefined; onSent: (bytes: number) => void },
    signal: AbortSignal,
  ): Promise<void> {
    const query = part.checksum === undefined ? "" : `?checksum=${encodeURIComponent(part.checksum)}`;
    const used = await this.#currentToken();
    const answer = await this.#runtime.sendBody({
      method: "PUT",
      url: `${this.#base}/parts/${part.partNumber}${query}`,
      headers: { authorization: `Partway ${used}`, "content-type": "application/octet-stream" },
      body: part.body,
      onSent: part.onSent,
      signal,
    });
    if (answer.status === 200) {
      this.#succeeded();
      return;
    }
    const error = errorOfAnswer(answer.status, answer.text);
    if (!this.#renewable(error)) throw error;
    await this.#renew(used);
    await this.putPart(part, signal);
  }

  /** Return whether the gateway answers at all, whatever it says. */
  async answers(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#send("GET", "", undefined, signal, PROBE_TIMEOUT_MS);
      return true;
    } catch (error) {
      if (error instanceof NoResponseError) return false;
      throw error;
    }
  }

  async #call<Answer>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Answer> {
    for (let failures = 1; ; failures++) {
      const used = await this.#currentToken();
      const error = await this.#try<Answer>(method, path, body, signal);
      if (!(error instanceof UploadError)) return error;
      if (this.#renewable(error)) {
        await this.#renew(used);
        continue;
      }
      const hopeless = this.#retry.isExhausted(failures) || (!this.#answered && failures >= FIRST_TRIES);
      if (!error.retryable || hopeless) throw error;
      await this.#retry.backOff(failures, signal, error.retryAfterMs);
    }
  }

  /** Return the answer, or the error to judge. */
  async #try<Answer>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Answer | UploadError> {
    try {
      const { status, text } = await this.#send(method, path, body, signal, CALL_TIMEOUT_MS);
      if (status !== 200) return errorOfAnswer(status, text);
      const answer = JSON.parse(text) as Answer;
      this.#succeeded();
      return answer;
    } catch (error) {
      if (error instanceof NoResponseError) {
        const message = "no answer from the gateway; check its address, and that it allows this page's origin";
        return new UploadError("GATEWAY_UNREACHABLE", message, { retryable: true });
      }
      if (error instanceof SyntaxError) {
        return new UploadError("INVALID_RESPONSE", "the gateway's answer is not JSON; check its address");
      }
      throw error;
    }
  }

  async #send(method: string, path: string, body: unknown, signal: AbortSignal, timeoutMs: number) {
    const headers: Record<string, string> = { authorization: `Partway ${await this.#currentToken()}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      const response = await this.#runtime.fetch(this.#base + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        // Never cookies: the token alone says who calls.
        credentials: "omit",
        cache: "no-store",
      });
      return { status: response.status, text: await response.text() };
    } catch {
      signal.throwIfAborted();
      throw new NoResponseError("the gateway did not answer");
    }
  }

  #succeeded(): void {
    this.#answered = true;
    this.#renewals = 0;
    this.#retry.succeeded();
  }

  #renewable(error: UploadError): boolean {
    if (this.#renewals >= MOST_RENEWALS) return false;
    return error.status === 401 && this.#renewToken !== undefined && RENEWABLE.has(error.reason);
  }

  async #currentToken(): Promise<string> {
    if (this.#token === undefined && this.#renewToken !== undefined) await this.#renew(undefined);
    return this.#token ?? "";
  }

  /** Renew the token once for all calls that were refused with the same one. */
  async #renew(refused: string | undefined): Promise<void> {
    const renewToken = this.#renewToken;
    if (renewToken === undefined || this.#token !== refused) return;
    this.#renewal ??= this.#askForToken(renewToken, refused).finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
  }

  async #askForToken(renewToken: RenewToken, refused: string | undefined): Promise<void> {
    this.#renewals++;
    const token = await renewToken();
    if (token === refused) {
      throw new UploadError("UPLOAD_TOKEN_EXPIRED", "onTokenExpired returned the token that was refused", { status: 401 });
    }
    this.#token = token;
  }
}
