/** What an upload takes from its surroundings: requests, time and randomness. Tests pass their own. */

import type { SendBody } from "./http_put.js";
import { platformSendBody } from "./http_put.js";

export interface Runtime {
  /** Calls the gateway. */
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Sends the bytes of a part. */
  sendBody: SendBody;
  /** Returns milliseconds since any fixed moment. */
  now: () => number;
  /** Returns a number from 0 to 1. */
  random: () => number;
  /** Waits; rejects with the reason of `signal` once that is aborted. */
  sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Return the runtime of this browser or Node.js, with the given replacements. */
export function createRuntime(replacements: Partial<Runtime> = {}): Runtime {
  return {
    fetch: (url, init) => fetch(url, init),
    sendBody: platformSendBody(),
    now: () => performance.now(),
    random: () => Math.random(),
    sleep: sleepOrOnline,
    ...replacements,
  };
}

/** Wait, but no longer than until the browser is online again. */
function sleepOrOnline(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      globalThis.removeEventListener?.("online", onOnline);
      settle();
    };
    const onAbort = finish(() => reject(signal.reason));
    const onOnline = finish(resolve);
    const timer = setTimeout(onOnline, milliseconds);
    signal.addEventListener("abort", onAbort, { once: true });
    globalThis.addEventListener?.("online", onOnline, { once: true });
    if (signal.aborted) onAbort();
  });
}
