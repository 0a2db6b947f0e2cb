/** Sends the bytes of one part: by XMLHttpRequest where there is one, because fetch reports no progress. */

import { NoResponseError } from "./errors.js";

export interface BodyRequest {
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body: Blob;
  signal: AbortSignal;
  /** Called with the number of bytes of the body that have left. */
  onSent: (bytes: number) => void;
}

export interface BodyAnswer {
  status: number;
  text: string;
}

/** Sends a body once. Rejects with NoResponseError, or with the reason of the signal. */
export type SendBody = (request: BodyRequest) => Promise<BodyAnswer>;

/** A connection on which nothing moves for so long is given up. */
const STALL_MS = 60_000;
/** fetch does not say what moves: the slowest connection that it may have, in bytes per second. */
const SLOWEST_BYTES_PER_SECOND = 32 * 1024;

/** Return what sends bodies on this platform. */
export function platformSendBody(): SendBody {
  return typeof XMLHttpRequest === "undefined" ? sendByFetch : sendByXhr;
}

function sendByXhr(request: BodyRequest): Promise<BodyAnswer> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let stall: ReturnType<typeof setTimeout> | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(stall);
      request.signal.removeEventListener("abort", onAbort);
      settle();
    };
    const fail = (problem: string) => finish(() => reject(new NoResponseError(problem)));
    const watch = () => {
      clearTimeout(stall);
      stall = setTimeout(() => {
        fail("nothing moved for a minute");
        xhr.abort();
      }, STALL_MS);
    };
    const onAbort = () => {
      finish(() => reject(request.signal.reason));
      xhr.abort();
    };
    xhr.upload.onprogress = (event) => {
      watch();
      request.onSent(event.loaded);
    };
    xhr.onload = () => finish(() => resolve({ status: xhr.status, text: xhr.responseText }));
    xhr.onerror = () => fail("the connection failed");
    xhr.open(request.method, request.url);
    for (const [name, value] of Object.entries(request.headers)) xhr.setRequestHeader(name, value);
    if (request.signal.aborted) return onAbort();
    request.signal.addEventListener("abort", onAbort, { once: true });
    watch();
    xhr.send(request.body);
  });
}

async function sendByFetch(request: BodyRequest): Promise<BodyAnswer> {
  const limit = STALL_MS + Math.ceil((request.body.size / SLOWEST_BYTES_PER_SECOND) * 1000);
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(limit)]);
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      body: request.body,
      redirect: "error",
      signal,
    });
    const text = await response.text();
    if (response.ok) request.onSent(request.body.size);
    return { status: response.status, text };
  } catch {
    request.signal.throwIfAborted();
    throw new NoResponseError("the connection failed");
  }
}
