var __defProp = Object.defineProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};

// node_modules/@partway/upload/dist/index.js
var dist_exports = {};
__export(dist_exports, {
  Upload: () => Upload,
  UploadError: () => UploadError,
  findUpload: () => findUpload,
  isSameFile: () => isSameFile,
  openResumeStore: () => openResumeStore,
  reopenFile: () => reopenFile
});

// node_modules/@partway/upload/dist/errors.js
var UploadError = class extends Error {
  /** A reason of the service such as "UPLOAD_TOKEN_EXPIRED", or a ClientReason; "" if an answer had none. */
  reason;
  /** The HTTP status of the answer; 0 without one. */
  status;
  /** What the service says about the reason, as `ErrorReason` documents it. */
  metadata;
  /** How long the service asks to wait before the call is repeated, in milliseconds. */
  retryAfterMs;
  /** Whether the same call may succeed later. */
  retryable;
  constructor(reason, message, details = {}) {
    super(message);
    this.name = "UploadError";
    this.reason = reason;
    this.status = details.status ?? 0;
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
    this.retryable = details.retryable ?? false;
  }
};
var NoResponseError = class extends Error {
  constructor(problem) {
    super(problem);
    this.name = "NoResponseError";
  }
};
var RETRYABLE_STATUSES = /* @__PURE__ */ new Set([408, 429, 502, 503, 504]);
var RETRYABLE_CODES = /* @__PURE__ */ new Set([1, 4, 8, 14]);
var RETRYABLE_REASONS = /* @__PURE__ */ new Set(["UPLOAD_BUSY", "PART_CHANGED", "PART_TOO_SLOW"]);
var LONGEST_QUOTA_WAIT_MS = 6e5;
function errorOfAnswer(status, body) {
  const parsed = parseStatus(body);
  if (parsed === void 0) {
    return new UploadError("", `the gateway answers ${status}`, { status, retryable: RETRYABLE_STATUSES.has(status) });
  }
  const info = detailOf(parsed, "google.rpc.ErrorInfo");
  const reason = (info?.reason ?? "").replace(/^ERROR_REASON_/, "");
  const retryAfterMs = milliseconds(detailOf(parsed, "google.rpc.RetryInfo")?.retryDelay);
  const retryable = reason === "QUOTA_EXCEEDED" ? retryAfterMs !== void 0 && retryAfterMs <= LONGEST_QUOTA_WAIT_MS : RETRYABLE_CODES.has(parsed.code) || RETRYABLE_REASONS.has(reason);
  return new UploadError(reason, parsed.message || `the gateway answers ${status}`, {
    status,
    retryable,
    metadata: info?.metadata ?? {},
    ...retryAfterMs === void 0 ? {} : { retryAfterMs }
  });
}
function milliseconds(duration) {
  const seconds = duration?.endsWith("s") ? Number(duration.slice(0, -1)) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1e3 : void 0;
}
function parseStatus(body) {
  try {
    const parsed = JSON.parse(body);
    const known = typeof parsed === "object" && parsed !== null && typeof parsed.code === "number";
    return known ? parsed : void 0;
  } catch {
    return void 0;
  }
}
function detailOf(status, type) {
  return status.details?.find((detail) => detail["@type"]?.endsWith(`/${type}`));
}

// node_modules/@partway/upload/dist/resume_store.js
var TABLE = "uploads";
async function openResumeStore(name = "partway") {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "uploadId" });
  const database = await answerOf(opening);
  const table = (mode) => database.transaction(TABLE, mode).objectStore(TABLE);
  return {
    save: async (record) => void await answerOf(table("readwrite").put(record)),
    list: () => answerOf(table("readonly").getAll()),
    remove: async (uploadId) => void await answerOf(table("readwrite").delete(uploadId))
  };
}
function describeFile(file) {
  const { name = "", lastModified = 0 } = file;
  return { name, size: file.size, lastModified };
}
function isSameFile(record, file) {
  const { name, size, lastModified } = describeFile(file);
  return record.file.name === name && record.file.size === size && record.file.lastModified === lastModified;
}
async function findUpload(store, file) {
  return (await store.list()).find((record) => isSameFile(record, file));
}
async function reopenFile(record) {
  const handle = record.handle;
  if (handle === void 0)
    return void 0;
  const permission = await handle.requestPermission?.({ mode: "read" }) ?? "granted";
  if (permission !== "granted")
    return void 0;
  try {
    const file = await handle.getFile();
    return isSameFile(record, file) ? file : void 0;
  } catch {
    return void 0;
  }
}
function answerOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// node_modules/@partway/upload/dist/gateway.js
var CALL_TIMEOUT_MS = 9e4;
var PROBE_TIMEOUT_MS = 1e4;
var FIRST_TRIES = 4;
var MOST_RENEWALS = 3;
var RENEWABLE = /* @__PURE__ */ new Set(["UPLOAD_TOKEN_EXPIRED", "CREDENTIALS_REJECTED", "CALLER_UNKNOWN"]);
var Gateway = class {
  #runtime;
  #retry;
  #base;
  #renewToken;
  #token;
  #renewal;
  #renewals = 0;
  #answered = false;
  constructor(options, runtime, retry) {
    this.#runtime = runtime;
    this.#retry = retry;
    this.#base = `${options.gateway.replace(/\/+$/, "")}/v1/uploads/${encodeURIComponent(options.uploadId)}`;
    this.#token = options.token;
    this.#renewToken = options.renewToken;
  }
  status(signal, withProgress) {
    return this.#call("GET", withProgress ? "?view=STATUS_VIEW_PROGRESS" : "", void 0, signal);
  }
  async presign(ranges, checksums, signal) {
    const { parts } = await this.#call("POST", ":batchPresignParts", { ranges, checksums }, signal);
    return parts;
  }
  async report(parts, signal) {
    await this.#call("POST", "/parts:report", { parts }, signal);
  }
  async complete(signal) {
    return (await this.#call("POST", ":complete", {}, signal)).upload;
  }
  async abort(signal) {
    return (await this.#call("POST", ":abort", {}, signal)).upload;
  }
  /** Send one part through the service, once. Rejects with UploadError or NoResponseError. */
  async putPart(part, signal) {
    const query = part.checksum === void 0 ? "" : `?checksum=${encodeURIComponent(part.checksum)}`;
    const used = await this.#currentToken();
    const answer = await this.#runtime.sendBody({
      method: "PUT",
      url: `${this.#base}/parts/${part.partNumber}${query}`,
      headers: { authorization: `Partway ${used}`, "content-type": "application/octet-stream" },
      body: part.body,
      onSent: part.onSent,
      signal
    });
    if (answer.status === 200) {
      this.#succeeded();
      return;
    }
    const error = errorOfAnswer(answer.status, answer.text);
    if (!this.#renewable(error))
      throw error;
    await this.#renew(used);
    await this.putPart(part, signal);
  }
  /** Return whether the gateway answers at all, whatever it says. */
  async answers(signal) {
    try {
      await this.#send("GET", "", void 0, signal, PROBE_TIMEOUT_MS);
      return true;
    } catch (error) {
      if (error instanceof NoResponseError)
        return false;
      throw error;
    }
  }
  async #call(method, path, body, signal) {
    for (let failures = 1; ; failures++) {
      const used = await this.#currentToken();
      const error = await this.#try(method, path, body, signal);
      if (!(error instanceof UploadError))
        return error;
      if (this.#renewable(error)) {
        await this.#renew(used);
        continue;
      }
      const hopeless = this.#retry.isExhausted(failures) || !this.#answered && failures >= FIRST_TRIES;
      if (!error.retryable || hopeless)
        throw error;
      await this.#retry.backOff(failures, signal, error.retryAfterMs);
    }
  }
  /** Return the answer, or the error to judge. */
  async #try(method, path, body, signal) {
    try {
      const { status, text } = await this.#send(method, path, body, signal, CALL_TIMEOUT_MS);
      if (status !== 200)
        return errorOfAnswer(status, text);
      const answer = JSON.parse(text);
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
  async #send(method, path, body, signal, timeoutMs) {
    const headers = { authorization: `Partway ${await this.#currentToken()}` };
    if (body !== void 0)
      headers["content-type"] = "application/json";
    try {
      const response = await this.#runtime.fetch(this.#base + path, {
        method,
        headers,
        ...body === void 0 ? {} : { body: JSON.stringify(body) },
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        // Never cookies: the token alone says who calls.
        credentials: "omit",
        cache: "no-store"
      });
      return { status: response.status, text: await response.text() };
    } catch {
      signal.throwIfAborted();
      throw new NoResponseError("the gateway did not answer");
    }
  }
  #succeeded() {
    this.#answered = true;
    this.#renewals = 0;
    this.#retry.succeeded();
  }
  #renewable(error) {
    if (this.#renewals >= MOST_RENEWALS)
      return false;
    return error.status === 401 && this.#renewToken !== void 0 && RENEWABLE.has(error.reason);
  }
  async #currentToken() {
    if (this.#token === void 0 && this.#renewToken !== void 0)
      await this.#renew(void 0);
    return this.#token ?? "";
  }
  /** Renew the token once for all calls that were refused with the same one. */
  async #renew(refused) {
    const renewToken2 = this.#renewToken;
    if (renewToken2 === void 0 || this.#token !== refused)
      return;
    this.#renewal ??= this.#askForToken(renewToken2, refused).finally(() => {
      this.#renewal = void 0;
    });
    await this.#renewal;
  }
  async #askForToken(renewToken2, refused) {
    this.#renewals++;
    const token = await renewToken2();
    if (token === refused) {
      throw new UploadError("UPLOAD_TOKEN_EXPIRED", "onTokenExpired returned the token that was refused", { status: 401 });
    }
    this.#token = token;
  }
};

// node_modules/@partway/upload/dist/retry.js
var LEAST_TRIES = 4;
var Retry = class {
  #runtime;
  #giveUpAfterMs;
  #lastSuccess;
  constructor(runtime, giveUpAfterMs) {
    this.#runtime = runtime;
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#lastSuccess = runtime.now();
  }
  /** Record that a call was answered, or a part stored. */
  succeeded() {
    this.#lastSuccess = this.#runtime.now();
  }
  /** Return whether to give up after so many failures in a row: no other one succeeded for too long. */
  isExhausted(failures) {
    return failures >= LEAST_TRIES && this.#runtime.now() - this.#lastSuccess > this.#giveUpAfterMs;
  }
  /**
   * Wait after the given number of failures: exponentially longer, with equal jitter.
   *
   * `atLeastMs` is what the other side asked for. The jitter is added to it, so that callers that
   * were given the same figure do not all come back at once.
   */
  async backOff(failures, signal, atLeastMs = 0) {
    const longest = Math.min(2e4, 500 * 2 ** Math.min(failures - 1, 10));
    await this.#runtime.sleep(atLeastMs + (1 + this.#runtime.random()) * longest / 2, signal);
  }
};

// node_modules/@partway/upload/dist/http_put.js
var STALL_MS = 6e4;
var SLOWEST_BYTES_PER_SECOND = 32 * 1024;
function platformSendBody() {
  return typeof XMLHttpRequest === "undefined" ? sendByFetch : sendByXhr;
}
function sendByXhr(request) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let stall;
    const finish = (settle) => {
      clearTimeout(stall);
      request.signal.removeEventListener("abort", onAbort);
      settle();
    };
    const fail = (problem) => finish(() => reject(new NoResponseError(problem)));
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
    for (const [name, value] of Object.entries(request.headers))
      xhr.setRequestHeader(name, value);
    if (request.signal.aborted)
      return onAbort();
    request.signal.addEventListener("abort", onAbort, { once: true });
    watch();
    xhr.send(request.body);
  });
}
async function sendByFetch(request) {
  const limit = STALL_MS + request.body.size / SLOWEST_BYTES_PER_SECOND * 1e3;
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      body: request.body,
      redirect: "error",
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(limit)])
    });
    const text = await response.text();
    if (response.ok)
      request.onSent(request.body.size);
    return { status: response.status, text };
  } catch {
    request.signal.throwIfAborted();
    throw new NoResponseError("the connection failed");
  }
}

// node_modules/@partway/upload/dist/runtime.js
function createRuntime(replacements = {}) {
  return {
    fetch: (url, init) => fetch(url, init),
    sendBody: platformSendBody(),
    now: () => performance.now(),
    random: () => Math.random(),
    sleep: sleepOrOnline,
    ...replacements
  };
}
function sleepOrOnline(milliseconds2, signal) {
  return new Promise((resolve, reject) => {
    const finish = (settle) => () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      globalThis.removeEventListener?.("online", onOnline);
      settle();
    };
    const onAbort = finish(() => reject(signal.reason));
    const onOnline = finish(resolve);
    const timer = setTimeout(onOnline, milliseconds2);
    signal.addEventListener("abort", onAbort, { once: true });
    globalThis.addEventListener?.("online", onOnline, { once: true });
    if (signal.aborted)
      onAbort();
  });
}

// node_modules/@partway/upload/dist/part_reporter.js
var BATCH_MS = 1e3;
var MOST_PARTS = 1e3;
var PartReporter = class {
  #gateway;
  #runtime;
  #signal;
  #pending = [];
  #loop;
  #off = false;
  constructor(gateway, runtime, signal) {
    this.#gateway = gateway;
    this.#runtime = runtime;
    this.#signal = signal;
  }
  /** Report a part with the next batch. */
  add(part) {
    if (this.#off)
      return;
    this.#pending.push(part);
    this.#loop ??= this.#flushLater().finally(() => {
      this.#loop = void 0;
    });
  }
  async #flushLater() {
    try {
      while (this.#pending.length > 0) {
        await this.#runtime.sleep(BATCH_MS, this.#signal);
        await this.#gateway.report(this.#pending.splice(0, MOST_PARTS), this.#signal);
      }
    } catch (error) {
      if (!(error instanceof UploadError) && !this.#signal.aborted)
        throw error;
      this.#off = true;
    }
  }
};

// node_modules/@partway/upload/dist/checksums.js
async function partChecksum(algorithm, part) {
  switch (algorithm) {
    case "CHECKSUM_ALGORITHM_UNSPECIFIED":
    case "CHECKSUM_ALGORITHM_NONE":
      return void 0;
    case "CHECKSUM_ALGORITHM_SHA256":
      return base64(new Uint8Array(await crypto.subtle.digest("SHA-256", await part.arrayBuffer())));
    case "CHECKSUM_ALGORITHM_CRC32C":
      return base64(bigEndian([await crc32c(part)]));
    case "CHECKSUM_ALGORITHM_CRC64NVME":
      return base64(bigEndian(await crc64nvme(part)));
    default:
      throw new UploadError("CHECKSUM_UNSUPPORTED", `this client cannot compute ${algorithm}; initialize the Upload with SHA256, CRC32C, CRC64NVME or NONE`);
  }
}
async function crc32c(part) {
  const [, table] = tables(0, 2197175160);
  let crc = 4294967295;
  for await (const bytes of chunks(part)) {
    for (let i = 0; i < bytes.length; i++)
      crc = crc >>> 8 ^ table[(crc ^ bytes[i]) & 255];
  }
  return ~crc;
}
async function crc64nvme(part) {
  const [highTable, lowTable] = tables(2590806825, 2890647989);
  let high = 4294967295;
  let low = 4294967295;
  for await (const bytes of chunks(part)) {
    for (let i = 0; i < bytes.length; i++) {
      const entry = (low ^ bytes[i]) & 255;
      low = (low >>> 8 | high << 24) ^ lowTable[entry];
      high = high >>> 8 ^ highTable[entry];
    }
  }
  return [~high, ~low];
}
function tables(polynomialHigh, polynomialLow) {
  const highTable = new Uint32Array(256);
  const lowTable = new Uint32Array(256);
  for (let entry = 0; entry < 256; entry++) {
    let high = 0;
    let low = entry;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = low >>> 1 | high << 31;
      high >>>= 1;
      if (odd) {
        low ^= polynomialLow;
        high ^= polynomialHigh;
      }
    }
    highTable[entry] = high;
    lowTable[entry] = low;
  }
  return [highTable, lowTable];
}
async function* chunks(part) {
  const reader = part.stream().getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read())
    yield read.value;
}
function bigEndian(words) {
  const view = new DataView(new ArrayBuffer(4 * words.length));
  for (const [index, word] of words.entries())
    view.setInt32(4 * index, word);
  return new Uint8Array(view.buffer);
}
function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

// node_modules/@partway/upload/dist/plan.js
var Plan = class {
  partCount;
  sizeBytes;
  checksumAlgorithm;
  #partSizeBytes;
  constructor(upload) {
    this.partCount = upload.partCount;
    this.sizeBytes = Number(upload.sizeBytes);
    this.checksumAlgorithm = upload.checksumAlgorithm;
    this.#partSizeBytes = Number(upload.partSizeBytes);
  }
  /** Return the bytes of a part. The type is left out, or the browser would send it as a header. */
  slice(file, partNumber) {
    const offset = (partNumber - 1) * this.#partSizeBytes;
    return file.slice(offset, Math.min(offset + this.#partSizeBytes, this.sizeBytes));
  }
  partSize(partNumber) {
    const offset = (partNumber - 1) * this.#partSizeBytes;
    return Math.min(this.#partSizeBytes, this.sizeBytes - offset);
  }
};
function numbersOf(ranges) {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}
function rangesOf(numbers) {
  const ranges = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== void 0 && last.last === number - 1)
      last.last = number;
    else
      ranges.push({ first: number, last: number });
  }
  return ranges;
}

// node_modules/@partway/upload/dist/presigned_urls.js
var AHEAD = 2;
var PresignedUrls = class {
  #gateway;
  #plan;
  #file;
  #signal;
  #window;
  #ready = /* @__PURE__ */ new Map();
  #expected;
  constructor(from, expected, parallel) {
    this.#gateway = from.gateway;
    this.#plan = from.plan;
    this.#file = from.file;
    this.#signal = from.signal;
    this.#window = parallel * AHEAD;
    this.#expected = [...expected];
  }
  /** Return the URL of a part, once. Taking it again presigns it again. */
  async take(partNumber) {
    const ready = this.#ready.get(partNumber) ?? this.#presignFrom(partNumber);
    this.#ready.delete(partNumber);
    return ready;
  }
  /** Presign a part, and those that follow it and have not been asked for. */
  #presignFrom(partNumber) {
    const next = this.#expected.filter((number) => number > partNumber && !this.#ready.has(number));
    const numbers = this.#expected.includes(partNumber) ? [partNumber, ...next.slice(0, this.#window - 1)] : [partNumber];
    this.#expected = this.#expected.filter((number) => !numbers.includes(number));
    const batch = this.#presign(numbers);
    for (const number of numbers) {
      const part = batch.then((parts) => parts.get(number));
      part.catch(() => void 0);
      this.#ready.set(number, part);
    }
    return this.#ready.get(partNumber);
  }
  async #presign(numbers) {
    const checksums = [];
    for (const partNumber of numbers) {
      const checksum = await partChecksum(this.#plan.checksumAlgorithm, this.#plan.slice(this.#file, partNumber));
      if (checksum !== void 0)
        checksums.push({ partNumber, checksum });
    }
    const parts = await this.#gateway.presign(rangesOf(numbers), checksums, this.#signal);
    return new Map(parts.map((part) => [part.partNumber, part]));
  }
};

// node_modules/@partway/upload/dist/part_transfer.js
var MOST_REFUSALS = 6;
var TRANSIENT_STATUSES = /* @__PURE__ */ new Set([408, 409, 429, 500, 502, 503, 504]);
var SERVICE_OFF = /* @__PURE__ */ new Set(["VIA_SERVICE_OFF", "PERMISSION_DENIED"]);
var SERVICE_OFF_STATUSES = /* @__PURE__ */ new Set([405, 413, 415, 501]);
async function sendParts(context, numbers) {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const inner = { ...context, signal };
  const urls = new PresignedUrls(inner, numbers, context.parallel);
  const queue = numbers.values();
  const workers = Array.from({ length: Math.min(context.parallel, numbers.length) }, async () => {
    for (const partNumber of queue)
      await new PartSender(inner, urls, partNumber).send();
  });
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}
var PartSender = class {
  #context;
  #urls;
  #partNumber;
  #body;
  #failures = 0;
  #refusals = 0;
  #unreached = 0;
  #gatewayAnswers = false;
  constructor(context, urls, partNumber) {
    this.#context = context;
    this.#urls = urls;
    this.#partNumber = partNumber;
    this.#body = context.plan.slice(context.file, partNumber);
  }
  async send() {
    for (; ; ) {
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
  async #try() {
    const { signal } = this.#context;
    signal.throwIfAborted();
    try {
      return this.#context.route.choose() === "service" ? await this.#viaService() : await this.#direct();
    } catch (error) {
      if (error instanceof NoResponseError)
        return { kind: "no-response" };
      throw error;
    }
  }
  async #direct() {
    const part = await this.#urls.take(this.#partNumber);
    const { status, text } = await this.#context.runtime.sendBody({
      method: part.method,
      url: part.url,
      headers: part.headers,
      body: this.#body,
      signal: this.#context.signal,
      onSent: (bytes) => this.#moved(bytes)
    });
    return judge(status, text, this.#context.plan.partCount === 1);
  }
  async #viaService() {
    const { gateway, plan, signal } = this.#context;
    const checksum = await partChecksum(plan.checksumAlgorithm, this.#body);
    const part = { partNumber: this.#partNumber, body: this.#body, checksum, onSent: (n) => this.#moved(n) };
    try {
      await gateway.putPart(part, signal);
      return { kind: "stored" };
    } catch (error) {
      if (!(error instanceof UploadError))
        throw error;
      const off = SERVICE_OFF.has(error.reason) || error.reason === "" && SERVICE_OFF_STATUSES.has(error.status);
      if (off)
        return { kind: "service-off" };
      return { kind: "refused", error, final: !error.retryable };
    }
  }
  #moved(bytes) {
    this.#context.onSent(this.#partNumber, bytes);
  }
  /** Wait, change the route, or raise the error if no other try would help. */
  async #afterFailure(outcome) {
    const { retry, route, signal } = this.#context;
    this.#failures++;
    if (outcome.kind === "service-off") {
      route.serviceRefused();
      return;
    }
    if (outcome.kind === "refused") {
      this.#unreached = 0;
      this.#refusals++;
      if (outcome.final || this.#refusals >= MOST_REFUSALS)
        throw outcome.error;
      return retry.backOff(this.#failures, signal, outcome.error.retryAfterMs);
    }
    await this.#checkFile();
    this.#unreached++;
    if (await this.#switched())
      return;
    if (retry.isExhausted(this.#failures)) {
      throw new UploadError("STORAGE_UNREACHABLE", "storage cannot be reached; is this page's origin allowed there?");
    }
    await retry.backOff(this.#failures, signal);
  }
  /** Switch to the service if the gateway answers and storage, tried once more after that, does not. */
  async #switched() {
    const { gateway, route, signal } = this.#context;
    if (!route.shouldProbe(this.#unreached))
      return false;
    if (this.#gatewayAnswers) {
      route.useService();
      this.#gatewayAnswers = false;
      return true;
    }
    this.#gatewayAnswers = await gateway.answers(signal);
    return this.#gatewayAnswers;
  }
  /** Browsers report a file that was changed or removed as a failed connection. */
  async #checkFile() {
    try {
      await this.#body.slice(0, 1).arrayBuffer();
    } catch {
      throw new UploadError("FILE_CHANGED", "the file can no longer be read: it was changed, moved or removed");
    }
  }
};
function judge(status, text, single) {
  if (status >= 200 && status < 300)
    return { kind: "stored" };
  if (single && status === 412)
    return { kind: "stored" };
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? "";
  const message = `storage answers ${status} ${code}`.trimEnd();
  const error = new UploadError("STORAGE_REFUSED_PART", message, { status, metadata: { storage_code: code } });
  const final = !(TRANSIENT_STATUSES.has(status) || status === 403 || status === 400);
  return { kind: "refused", error, final };
}

// node_modules/@partway/upload/dist/progress_meter.js
var ProgressMeter = class {
  #bytesTotal;
  #partCount;
  #inFlight = /* @__PURE__ */ new Map();
  #bytesStored = 0;
  #partsStored = 0;
  constructor(total, missing) {
    this.#bytesTotal = total.bytes;
    this.#partCount = total.parts;
    this.#bytesStored = total.bytes - missing.bytes;
    this.#partsStored = total.parts - missing.parts;
  }
  moved(partNumber, bytes) {
    this.#inFlight.set(partNumber, bytes);
  }
  stored(partNumber, bytes) {
    this.#inFlight.delete(partNumber);
    this.#bytesStored += bytes;
    this.#partsStored++;
  }
  read() {
    let bytesSent = this.#bytesStored;
    for (const bytes of this.#inFlight.values())
      bytesSent += bytes;
    const { partsStored, partCount } = { partsStored: this.#partsStored, partCount: this.#partCount };
    return { bytesSent, bytesTotal: this.#bytesTotal, partsStored, partCount };
  }
};

// node_modules/@partway/upload/dist/route.js
var TRIES = 2;
var SERVICE_MS = 6e4;
var Route = class {
  #runtime;
  #onChange;
  /** Whether the service takes parts; the policy of the Upload may forbid it. */
  #offered;
  #serviceUntil = -Infinity;
  #last = "direct";
  constructor(runtime, mayUseService, onChange) {
    this.#runtime = runtime;
    this.#offered = mayUseService;
    this.#onChange = onChange;
  }
  /** Return the route of the next part. */
  choose() {
    const route = this.#runtime.now() < this.#serviceUntil ? "service" : "direct";
    if (route !== this.#last)
      this.#onChange(route);
    this.#last = route;
    return route;
  }
  /** Return whether to ask if the gateway answers: then storage, and not the network, is away. */
  shouldProbe(failuresInARow) {
    return this.#offered && this.#last === "direct" && failuresInARow >= TRIES;
  }
  /** Send the next parts through the service. */
  useService() {
    this.#serviceUntil = this.#runtime.now() + SERVICE_MS;
  }
  /** Record that the service takes no parts of this Upload. */
  serviceRefused() {
    this.#offered = false;
    this.#serviceUntil = -Infinity;
  }
};

// node_modules/@partway/upload/dist/upload_run.js
var MOST_ROUNDS = 8;
var DEFAULT_POLL_MS = 1e3;
var MOST_POLLS = 400;
var POLLS_PER_COMPLETE = 8;
var MISSING_REASONS = /* @__PURE__ */ new Set(["PARTS_MISSING", "PARTS_MISMATCH"]);
var UploadRun = class {
  #context;
  #route;
  constructor(context) {
    this.#context = context;
    this.#route = new Route(context.runtime, context.viaService, context.onRoute);
  }
  /** Return the completed Upload. Rejects with UploadError, or the reason of the signal. */
  async toCompletion() {
    const { gateway, signal, onCompleting } = this.#context;
    for (let round = 1; ; round++) {
      const status = await this.#settled(await gateway.status(signal, true));
      checkSize(status.upload, this.#context.file);
      if (status.upload.state === "UPLOAD_STATE_COMPLETED")
        return status.upload;
      checkActive(status.upload);
      onCompleting(false);
      await this.#send(status);
      onCompleting(true);
      const completed = await this.#complete(round);
      if (completed?.state === "UPLOAD_STATE_COMPLETED")
        return completed;
    }
  }
  async #send(status) {
    const { file, signal, gateway, runtime, onProgress } = this.#context;
    const plan = new Plan(status.upload);
    const missing = numbersOf(status.progress?.missing ?? []);
    const missingBytes = missing.reduce((sum, number) => sum + plan.partSize(number), 0);
    const total = { bytes: plan.sizeBytes, parts: plan.partCount };
    const meter = new ProgressMeter(total, { bytes: missingBytes, parts: missing.length });
    const reporter = new PartReporter(gateway, runtime, signal);
    onProgress(meter.read());
    await sendParts({
      ...this.#context,
      file,
      plan,
      route: this.#route,
      onSent: (partNumber, bytes) => {
        meter.moved(partNumber, bytes);
        onProgress(meter.read());
      },
      onStored: (partNumber) => {
        meter.stored(partNumber, plan.partSize(partNumber));
        reporter.add({ partNumber, sizeBytes: String(plan.partSize(partNumber)) });
        onProgress(meter.read());
      }
    }, missing);
  }
  /** Complete the Upload; return undefined if parts must be sent again. */
  async #complete(round) {
    const { gateway, signal } = this.#context;
    try {
      const upload = await gateway.complete(signal);
      return (await this.#settled({ upload })).upload;
    } catch (error) {
      const again = error instanceof UploadError && MISSING_REASONS.has(error.reason) && round < MOST_ROUNDS;
      if (!again)
        throw error;
      return void 0;
    }
  }
  /** Wait while the service or storage is at work on the Upload. */
  async #settled(first) {
    const { gateway, runtime, signal, onCompleting } = this.#context;
    let status = first;
    for (let polls = 1; isBusy(status.upload); polls++) {
      onCompleting(status.upload.state === "UPLOAD_STATE_COMPLETING");
      await runtime.sleep(milliseconds(status.upload.retryDelay) ?? DEFAULT_POLL_MS, signal);
      if (polls > MOST_POLLS)
        throw new UploadError("UPLOAD_UNFINISHED", "storage is still joining the parts");
      const takeOver = polls % POLLS_PER_COMPLETE === 0 && status.upload.state === "UPLOAD_STATE_COMPLETING";
      status = takeOver ? { upload: await gateway.complete(signal) } : await gateway.status(signal, true);
    }
    return status;
  }
};
function isBusy(upload) {
  return upload.state === "UPLOAD_STATE_INITIATING" || upload.state === "UPLOAD_STATE_COMPLETING";
}
function checkActive(upload) {
  if (upload.state === "UPLOAD_STATE_ACTIVE")
    return;
  const why = upload.abortReason.replace(/^ABORT_REASON_/, "");
  const metadata = { abort_reason: upload.abortReason };
  throw new UploadError("UPLOAD_ABORTED", `the Upload was aborted: ${why}; initialize another`, { metadata });
}
function checkSize(upload, file) {
  if (file.size === Number(upload.sizeBytes))
    return;
  throw new UploadError("FILE_CHANGED", `the file has ${file.size} bytes, and the Upload ${upload.sizeBytes}`);
}

// node_modules/@partway/upload/dist/upload.js
var GONE = /* @__PURE__ */ new Set(["UPLOAD_ABORTED", "UPLOAD_NOT_FOUND", "UPLOAD_CONFLICT", "OBJECT_EXISTS"]);
var Upload = class {
  #file;
  #options;
  #runtime;
  #callRetry;
  #partRetry;
  #gateway;
  #phase = "idle";
  #run = new AbortController();
  #outcome;
  #removal;
  #wake = () => void 0;
  constructor(file, options) {
    this.#file = file;
    this.#options = options;
    this.#runtime = createRuntime(options.runtime);
    const giveUpAfterMs = options.giveUpAfterMs ?? 6e5;
    this.#callRetry = new Retry(this.#runtime, giveUpAfterMs);
    this.#partRetry = new Retry(this.#runtime, giveUpAfterMs);
    const { gateway, uploadId, token, onTokenExpired: renewToken2 } = options;
    this.#gateway = new Gateway({ gateway, uploadId, token, renewToken: renewToken2 }, this.#runtime, this.#callRetry);
  }
  get phase() {
    return this.#phase;
  }
  /**
   * Send the file, and return the completed Upload.
   *
   * Only what storage lacks is sent, so a second start() after a failure goes on where the first
   * ended. Rejects with UploadError.
   */
  start() {
    this.#outcome ??= this.#drive();
    return this.#outcome;
  }
  /** Stop sending. Parts that are in storage stay there; start() returns after resume(). */
  pause() {
    if (this.#phase !== "uploading")
      return;
    this.#setPhase("paused");
    this.#run.abort();
  }
  /** Go on after pause(). */
  resume() {
    if (this.#phase !== "paused")
      return;
    this.#setPhase("uploading");
    this.#wake();
  }
  /**
   * End the upload, and have the service discard its parts.
   *
   * Returns once they are discarded; start() rejects with the reason ABORTED. An object that
   * storage is joining, or has joined, stays: then this rejects with UPLOAD_NOT_ACTIVE.
   */
  abort() {
    this.#removal ??= this.#remove();
    return this.#removal;
  }
  async #drive() {
    const { signal, resumeStore, uploadId } = this.#options;
    const onAbort = () => void this.abort().catch(() => void 0);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      if (this.#phase === "idle" || this.#phase === "failed")
        this.#setPhase("uploading");
      if (signal?.aborted)
        onAbort();
      await this.#remember();
      const upload = await this.#untilComplete();
      await resumeStore?.remove(uploadId);
      this.#setPhase("completed");
      return upload;
    } catch (error) {
      this.#outcome = void 0;
      const reason = error instanceof UploadError ? error.reason : "";
      if (GONE.has(reason))
        await resumeStore?.remove(uploadId);
      this.#setPhase(reason === "ABORTED" ? "aborted" : "failed");
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }
  /** Run until the Upload is complete, once more after each pause. */
  async #untilComplete() {
    for (; ; ) {
      this.#run = new AbortController();
      const { signal } = this.#run;
      await this.#whileAborting();
      await this.#whilePaused();
      this.#callRetry.succeeded();
      this.#partRetry.succeeded();
      try {
        return await this.#runOnce(signal);
      } catch (error) {
        if (!signal.aborted)
          throw error;
      }
    }
  }
  #runOnce(signal) {
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
      onCompleting: (completing) => this.#setPhase(completing ? "completing" : "uploading")
    });
    return run.toCompletion();
  }
  async #whilePaused() {
    while (this.#phase === "paused") {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
      await this.#whileAborting();
    }
  }
  /** Raise ABORTED once a call of abort() has ended; return if the service refused it. */
  async #whileAborting() {
    try {
      await this.#removal;
    } catch (error) {
      if (!(error instanceof UploadError) || error.reason !== "UPLOAD_NOT_ACTIVE")
        throw abortedError();
      this.#removal = void 0;
    }
    if (this.#removal !== void 0)
      throw abortedError();
  }
  async #remove() {
    this.#run.abort();
    this.#wake();
    this.#callRetry.succeeded();
    await this.#gateway.abort(new AbortController().signal);
    await this.#options.resumeStore?.remove(this.#options.uploadId);
    if (this.#outcome === void 0)
      this.#setPhase("aborted");
  }
  async #remember() {
    const { resumeStore, uploadId, gateway, handle } = this.#options;
    if (resumeStore === void 0)
      return;
    const file = describeFile(this.#file);
    await resumeStore.save({ uploadId, gateway, file, ...handle === void 0 ? {} : { handle } });
  }
  #setPhase(phase) {
    if (this.#phase === phase)
      return;
    this.#phase = phase;
    this.#options.onPhase?.(phase);
  }
};
function abortedError() {
  return new UploadError("ABORTED", "the upload was aborted");
}

// pages/backend.ts
function initialize(file) {
  return post("/api/uploads", { name: file.name, size: file.size, type: file.type });
}
async function renewToken(uploadId) {
  return (await post("/api/tokens", { uploadId })).token;
}
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`the backend answers ${response.status}`);
  return await response.json();
}

// pages/harness.ts
async function start(file, initialized, options = {}) {
  const { remember, ...given } = options;
  const started = { phases: [], routes: [], renewals: 0, bytesSent: 0 };
  started.upload = new Upload(file, {
    ...initialized,
    ...given,
    ...remember ? { resumeStore: await openResumeStore() } : {},
    onTokenExpired: () => {
      started.renewals++;
      return renewToken(initialized.uploadId);
    },
    onPhase: (phase) => started.phases.push(phase),
    onRoute: (route) => started.routes.push(route),
    onProgress: ({ bytesSent }) => {
      started.bytesSent = bytesSent;
    }
  });
  started.outcome = started.upload.start().then(
    ({ object }) => object.key,
    (error) => `${error.name} ${error.reason}: ${error.message}`
  );
  return started;
}
async function randomFile(name, megabytes) {
  const bytes = new Uint8Array(megabytes * 1024 * 1024);
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return { file: new File([bytes], name), digest: await digestOf(bytes) };
}
async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
var harness = { ...dist_exports, initialize, start, randomFile, renewToken };
Object.assign(window, { harness });
