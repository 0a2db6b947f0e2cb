/** Reports which parts were sent, so that others can watch. Nothing depends on it: Complete asks storage. */

import { UploadError } from "./errors.js";
import type { Gateway } from "./gateway.js";
import type { Runtime } from "./runtime.js";
import type { SentPart } from "./wire.js";

const BATCH_MS = 1000;
const MOST_PARTS = 1000;

export class PartReporter {
  readonly #gateway: Gateway;
  readonly #runtime: Runtime;
  readonly #signal: AbortSignal;
  readonly #stopped = new AbortController();
  #pending: SentPart[] = [];
  #loop: Promise<void> | undefined;
  #off = false;

  constructor(gateway: Gateway, runtime: Runtime, signal: AbortSignal) {
    this.#gateway = gateway;
    this.#runtime = runtime;
    this.#signal = AbortSignal.any([signal, this.#stopped.signal]);
  }

  /** Report a part with the next batch. */
  add(part: SentPart): void {
    if (this.#off) return;
    this.#pending.push(part);
    this.#loop ??= this.#flushLater().finally(() => {
      this.#loop = undefined;
    });
  }

  /** Report no more: once the Upload is completing, its state says it all. */
  stop(): void {
    this.#stopped.abort();
  }

  async #flushLater(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        await this.#runtime.sleep(BATCH_MS, this.#signal);
        await this.#gateway.report(this.#pending.splice(0, MOST_PARTS), this.#signal);
      }
    } catch (error) {
      // The token may not allow reports, or the upload was paused or is complete already.
      if (!(error instanceof UploadError) && !this.#signal.aborted) throw error;
      this.#off = true;
    }
  }
}
