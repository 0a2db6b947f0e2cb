/** When to try again, and when to give up. */

import type { Runtime } from "./runtime.js";

/** A single try may take minutes: what it failed after says little. */
const LEAST_TRIES = 4;

/** Waits between tries, and the patience that all calls, or all parts, of one upload share. */
export class Retry {
  readonly #runtime: Runtime;
  readonly #giveUpAfterMs: number;
  #lastSuccess: number;

  constructor(runtime: Runtime, giveUpAfterMs: number) {
    this.#runtime = runtime;
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#lastSuccess = runtime.now();
  }

  /** Record that a call was answered, or a part stored. */
  succeeded(): void {
    this.#lastSuccess = this.#runtime.now();
  }

  /** Return whether to give up after so many failures in a row: no other one succeeded for too long. */
  isExhausted(failures: number): boolean {
    return failures >= LEAST_TRIES && this.#runtime.now() - this.#lastSuccess > this.#giveUpAfterMs;
  }

  /**
   * Wait after the given number of failures: exponentially longer, with equal jitter.
   *
   * `atLeastMs` is what the other side asked for. The jitter is added to it, so that callers that
   * were given the same figure do not all come back at once.
   */
  async backOff(failures: number, signal: AbortSignal, atLeastMs = 0): Promise<void> {
    const longest = Math.min(20_000, 500 * 2 ** Math.min(failures - 1, 10));
    await this.#runtime.sleep(atLeastMs + ((1 + this.#runtime.random()) * longest) / 2, signal);
  }
}
