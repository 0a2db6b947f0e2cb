/** An upload of one file: what a page starts, pauses and aborts. */

import { UploadError } from "./errors.js";
import { Gateway, type RenewToken } from "./gateway.js";
import type { UploadProgress } from "./progress_meter.js";
import { describeFile, type ResumeStore } from "./resume_store.js";
import { Retry } from "./retry.js";
import type { RouteName } from "./route.js";
import { createRuntime, type Runtime } from "./runtime.js";
import { UploadRun } from "./upload_run.js";
import type { UploadResource } from "./wire.js";

export type UploadPhase = "idle" | "uploading" | "paused" | "completing" | "completed" | "aborted" | "failed";

export interface UploadOptions {
  /** The address of the REST gateway, such as "https://uploads.example". */
  gateway: string;
  /** The id of the Upload that a backend initialized for this file. */
  uploadId: string;
  /** The Upload's token. Without one, onTokenExpired is asked first. */
  token?: string;
  /** Returns a new token once the gateway refuses the one in use. */
  onTokenExpired?: RenewToken;
  onProgress?: (progress: UploadProgress) => void;
  onPhase?: (phase: UploadPhase) => void;
  /** Called when parts begin to go through the service, and when they go straight to storage again. */
  onRoute?: (route: RouteName) => void;
  /** How many parts to send at a time; 4 by default. */
  parallel?: number;
  /** Whether parts may go through the service if storage cannot be reached; true by default. */
  viaService?: boolean;
  /** How long nothing may get through before the upload fails; 10 minutes by default. */
  giveUpAfterMs?: number;
  /** Aborts the upload, as abort() does. */
  signal?: AbortSignal;
  /** Remembers the upload until it ends, so that a page can resume it after a reload. */
  resumeStore?: ResumeStore;
  /** A handle of the file, for the resumeStore: then the user need not choose the file again. */
  handle?: FileSystemFileHandle;
  /** Replaces parts of the platform, for tests. */
  runtime?: Partial<Runtime>;
}

/** Nothing of such an Upload can be resumed. */
const GONE = new Set(["UPLOAD_ABORTED", "UPLOAD_NOT_FOUND", "UPLOAD_CONFLICT", "OBJECT_EXISTS"]);

/** An upload of one file to one Upload of the service. */
export class Upload {
  readonly #file: Blob;
  readonly #options: UploadOptions;
  readonly #runtime: Runtime;
  readonly #callRetry: Retry;
  readonly #partRetry: Retry;
  readonly #gateway: Gateway;
  #phase: UploadPhase = "idle";
  #run = new AbortController();
  #outcome: Promise<UploadResource> | undefined;
  #removal: Promise<void> | undefined;
  #wake: () => void = () => undefined;

  constructor(file: Blob, options: UploadOptions) {
    this.#file = file;
    this.#options = options;
    this.#runtime = createRuntime(options.runtime);
    const giveUpAfterMs = options.giveUpAfterMs ?? 600_000;
    this.#callRetry = new Retry(this.#runtime, giveUpAfterMs);
    this.#partRetry = new Retry(this.#runtime, giveUpAfterMs);
    const { gateway, uploadId, token, onTokenExpired: renewToken } = options;
    this.#gateway = new Gateway({ gateway, uploadId, token, renewToken }, this.#runtime, this.#callRetry);
  }

  get phase(): UploadPhase {
    return this.#phase;
  }

  /**
   * Send the file, and return the completed Upload.
   *
   * Only what storage lacks is sent, so a second start() after a failure goes on where the first
   * ended. Rejects with UploadError.
   */
  start(): Promise<UploadResource> {
    this.#outcome ??= this.#drive();
    return this.#outcome;
  }

  /** Stop sending. Parts that are in storage stay there; start() returns after resume(). */
  pause(): void {
    if (this.#phase !== "uploading") return;
    this.#setPhase("paused");
    this.#run.abort();
  }

  /** Go on after pause(). */
  resume(): void {
    if (this.#phase !== "paused") return;
    this.#setPhase("uploading");
    this.#wake();
  }

  /**
   * End the upload, and have the service discard its parts.
   *
   * Returns once they are discarded; start() rejects with the reason ABORTED. An object that
   * storage is joining, or has joined, stays: then this rejects with UPLOAD_NOT_ACTIVE.
   */
  abort(): Promise<void> {
    this.#removal ??= this.#remove();
    return this.#removal;
  }

  async #drive(): Promise<UploadResource> {
    const { signal, resumeStore, uploadId } = this.#options;
    // Its failure is the outcome of start(), which looks at the same promise.
    const onAbort = () => void this.abort().catch(() => undefined);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      if (this.#phase === "idle" || this.#phase === "failed") this.#setPhase("uploading");
      if (signal?.aborted) onAbort();
      await this.#remember();
      const upload = await this.#untilComplete();
      await resumeStore?.remove(uploadId);
      this.#setPhase("completed");
      return upload;
    } catch (error) {
      this.#outcome = undefined;
      const reason = error instanceof UploadError ? error.reason : "";
      if (GONE.has(reason)) await resumeStore?.remove(uploadId);
      this.#setPhase(reason === "ABORTED" ? "aborted" : "failed");
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Run until the Upload is complete, once more after each pause. */
  async #untilComplete(): Promise<UploadResource> {
    for (;;) {
      this.#run = new AbortController();
      const { signal } = this.#run;
      await this.#whileAborting();
      await this.#whilePaused();
      // What went before a pause does not count.
      this.#callRetry.succeeded();
      this.#partRetry.succeeded();
      try {
        return await this.#runOnce(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  #runOnce(signal: AbortSignal): Promise<UploadResource> {
    const { parallel = 4, viaService = true, onProgress, onRoute } = this.#options;
    const run = new UploadRun({
      file: this.#file,
      gateway: this.#gateway,
      runtime: this.#runtime,
      retry: this.#partRetry,
      signal,
      parallel,
      viaService,
      onProgress: (progress) => onProgress?.(progress),
      onRoute: (route) => onRoute?.(route),
      onCompleting: (completing) => this.#setPhase(completing ? "completing" : "uploading"),
    });
    return run.toCompletion();
  }

  async #whilePaused(): Promise<void> {
    while (this.#phase === "paused") {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await this.#whileAborting();
    }
  }

  /** Raise ABORTED once a call of abort() has ended; return if the service refused it. */
  async #whileAborting(): Promise<void> {
    try {
      await this.#removal;
    } catch (error) {
      if (!(error instanceof UploadError) || error.reason !== "UPLOAD_NOT_ACTIVE") throw abortedError();
      this.#removal = undefined;
    }
    if (this.#removal !== undefined) throw abortedError();
  }

  async #remove(): Promise<void> {
    // First, or a part in flight might arrive after the others are gone.
    this.#run.abort();
    this.#wake();
    this.#callRetry.succeeded();
    await this.#gateway.abort(new AbortController().signal);
    await this.#options.resumeStore?.remove(this.#options.uploadId);
    if (this.#outcome === undefined) this.#setPhase("aborted");
  }

  async #remember(): Promise<void> {
    const { resumeStore, uploadId, gateway, handle } = this.#options;
    if (resumeStore === undefined) return;
    const file = describeFile(this.#file);
    await resumeStore.save({ uploadId, gateway, file, ...(handle === undefined ? {} : { handle }) });
  }

  #setPhase(phase: UploadPhase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#options.onPhase?.(phase);
  }
}

function abortedError(): UploadError {
  return new UploadError("ABORTED", "the upload was aborted");
}
