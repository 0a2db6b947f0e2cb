import assert from "node:assert/strict";
import { test } from "node:test";

import { Upload, UploadError, type UploadOptions } from "../src/index.js";
import { FakeService, GATEWAY, refusal, TOKEN, UPLOAD_ID } from "./fake_service.js";

const PART = 1000;

function content(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, index) => (index * 7) % 251);
}

function uploadTo(service: FakeService, options: Partial<UploadOptions> = {}, file = new Blob([content(service.sizeBytes)])) {
  return new Upload(file, { gateway: GATEWAY, uploadId: UPLOAD_ID, token: TOKEN, runtime: service.runtime, ...options });
}

async function failure(promise: Promise<unknown>): Promise<UploadError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof UploadError, String(error));
    return error;
  }
  return assert.fail("nothing was rejected");
}

test("sends every byte once, a few parts at a time, and completes", async () => {
  const service = new FakeService(10_500, PART);
  const upload = uploadTo(service, { parallel: 3 });
  const completed = await upload.start();
  assert.equal(completed.object.uri, "s3://bucket/key");
  assert.deepEqual(service.bytes(), Buffer.from(content(10_500)));
  assert.equal(service.mostInFlight, 3);
  assert.equal(upload.phase, "completed");
  assert.deepEqual(service.headersOfPuts[0], { "x-signed": "yes" });
});

test("presigns only what is about to be sent", async () => {
  const service = new FakeService(10 * PART, PART);
  await uploadTo(service, { parallel: 2 }).start();
  assert.deepEqual(service.presigned, [[{ first: 1, last: 4 }], [{ first: 5, last: 8 }], [{ first: 9, last: 10 }]]);
});

test("sends only what storage lacks", async () => {
  const service = new FakeService(5 * PART, PART);
  for (const number of [1, 3, 4]) service.stored.set(number, content(5 * PART).subarray((number - 1) * PART, number * PART));
  const seen: number[] = [];
  await uploadTo(service, { onProgress: ({ bytesSent }) => seen.push(bytesSent) }).start();
  assert.equal(service.headersOfPuts.length, 2);
  assert.deepEqual(service.bytes(), Buffer.from(content(5 * PART)));
  assert.deepEqual([seen[0], seen.at(-1)], [3 * PART, 5 * PART]);
});

test("sends an empty file as one part", async () => {
  const service = new FakeService(0, PART);
  await uploadTo(service).start();
  assert.equal(service.stored.get(1)?.length, 0);
});

test("reports the parts in batches", async () => {
  const service = new FakeService(40 * PART, PART);
  await uploadTo(service).start();
  const reports = service.calls.filter((call) => call === "POST /parts:report");
  assert.ok(reports.length < 40, `${reports.length} reports`);
  assert.ok(service.reported.length > 0);
});

test("a token that may not report is no reason to fail", async () => {
  const service = new FakeService(3 * PART, PART);
  service.onCall = (_, path) => (path === "/parts:report" ? refusal(403, 7, "PERMISSION_DENIED") : undefined);
  await uploadTo(service).start();
  assert.equal(service.state, "UPLOAD_STATE_COMPLETED");
});

test("a refused URL is presigned again", async () => {
  const service = new FakeService(4 * PART, PART);
  const expired = new Set([2, 3]);
  service.onPut = (number) => (expired.delete(number) ? { status: 403, text: "<Code>AccessDenied</Code>" } : undefined);
  await uploadTo(service).start();
  assert.equal(service.presigned.length, 3);
  assert.deepEqual(service.bytes(), Buffer.from(content(4 * PART)));
});

test("storage that refuses every URL fails the upload with its code", async () => {
  const service = new FakeService(PART, PART);
  service.onPut = () => ({ status: 403, text: "<Code>SignatureDoesNotMatch</Code>" });
  const error = await failure(uploadTo(service).start());
  assert.equal(error.reason, "STORAGE_REFUSED_PART");
  assert.equal(error.metadata.storage_code, "SignatureDoesNotMatch");
});

test("waits as long as the service asks, with jitter on top", async () => {
  const service = new FakeService(PART, PART);
  let busy = 2;
  service.onCall = (_, path) =>
    path === ":complete" && busy-- > 0 ? refusal(409, 10, "UPLOAD_BUSY", {}, "3s") : undefined;
  await uploadTo(service).start();
  assert.deepEqual(service.sleeps.filter((wait) => wait > 3000), [3000 + 375, 3000 + 750]);
});

test("an error that no repeat can help is not repeated", async () => {
  const service = new FakeService(PART, PART);
  service.onCall = () => refusal(404, 5, "UPLOAD_NOT_FOUND");
  const error = await failure(uploadTo(service).start());
  assert.deepEqual([error.reason, error.status, service.calls.length], ["UPLOAD_NOT_FOUND", 404, 1]);
});

test("a quota that waits for midnight is an error; one of seconds is waited for", async () => {
  const service = new FakeService(PART, PART);
  service.onCall = () => refusal(429, 8, "QUOTA_EXCEEDED", {}, "30000s");
  assert.equal((await failure(uploadTo(service).start())).reason, "QUOTA_EXCEEDED");
  let first = true;
  service.onCall = () => {
    if (!first) return undefined;
    first = false;
    return refusal(429, 8, "QUOTA_EXCEEDED", {}, "2s");
  };
  await uploadTo(service).start();
});

test("a gateway that never answers is given up after a few tries", async () => {
  const service = new FakeService(PART, PART);
  service.onCall = () => "offline";
  const error = await failure(uploadTo(service).start());
  assert.deepEqual([error.reason, service.calls.length], ["GATEWAY_UNREACHABLE", 4]);
});

test("outlasts an outage of everything, and gives up after giveUpAfterMs", async () => {
  const service = new FakeService(4 * PART, PART);
  const offline = () => service.stored.size > 0 && service.clock < 300_000;
  service.onPut = () => (offline() ? "offline" : undefined);
  service.onCall = () => (offline() ? "offline" : undefined);
  const routes: string[] = [];
  await uploadTo(service, { parallel: 1, onRoute: (route) => routes.push(route) }).start();
  assert.deepEqual(routes, [], "an outage of the network is no reason to change the route");
  const other = new FakeService(2 * PART, PART);
  other.onPut = (number) => (number === 2 ? "offline" : undefined);
  const error = await failure(uploadTo(other, { viaService: false, giveUpAfterMs: 60_000 }).start());
  assert.equal(error.reason, "STORAGE_UNREACHABLE");
});

test("goes through the service while storage cannot be reached, and back", async () => {
  const service = new FakeService(30 * PART, PART);
  const direct: number[] = [];
  service.onPut = (number, url) => {
    if (url.startsWith(GATEWAY)) {
      service.clock += 5000;
      return undefined;
    }
    direct.push(number);
    return service.clock < 60_000 ? "offline" : undefined;
  };
  const routes: string[] = [];
  await uploadTo(service, { parallel: 1, onRoute: (route) => routes.push(route) }).start();
  assert.deepEqual(routes, ["service", "direct"]);
  assert.deepEqual(service.bytes(), Buffer.from(content(30 * PART)));
  assert.deepEqual(direct.slice(0, 3), [1, 1, 1]);
  assert.ok((direct[3] ?? 0) > 8, "storage is tried again only after a while");
});

test("a policy that forbids parts through the service leaves storage as the only way", async () => {
  const service = new FakeService(PART, PART);
  service.onPut = (_, url) => {
    if (!url.startsWith(GATEWAY)) return "offline";
    const { status, body } = refusal(400, 9, "VIA_SERVICE_OFF");
    return { status, text: JSON.stringify(body) };
  };
  const error = await failure(uploadTo(service, { giveUpAfterMs: 60_000 }).start());
  assert.equal(error.reason, "STORAGE_UNREACHABLE");
});

test("parts that Complete finds missing are sent again", async () => {
  const service = new FakeService(3 * PART, PART);
  let lost = true;
  service.onCall = (_, path) => {
    if (path === ":complete" && lost) {
      lost = false;
      service.stored.delete(2);
    }
    return undefined;
  };
  await uploadTo(service).start();
  assert.equal(service.headersOfPuts.length, 4);
  assert.deepEqual(service.bytes(), Buffer.from(content(3 * PART)));
});

test("asks again after retryDelay while storage joins the parts", async () => {
  const service = new FakeService(PART, PART);
  service.pollsWhileCompleting = 3;
  const phases: string[] = [];
  await uploadTo(service, { onPhase: (phase) => phases.push(phase) }).start();
  assert.equal(service.sleeps.filter((wait) => wait === 250).length, 3);
  assert.deepEqual(phases, ["uploading", "completing", "completed"]);
});

test("one renewal serves all calls that an expired token refused", async () => {
  const service = new FakeService(8 * PART, PART);
  let renewals = 0;
  service.onPut = (number) => {
    if (number === 2) service.token = "second-token";
    return undefined;
  };
  const onTokenExpired = async () => {
    renewals++;
    return "second-token";
  };
  await uploadTo(service, { parallel: 2, onTokenExpired }).start();
  assert.equal(renewals, 1);
});

test("without a token onTokenExpired is asked first; tokens that are all refused end it", async () => {
  const service = new FakeService(PART, PART);
  const options = { gateway: GATEWAY, uploadId: UPLOAD_ID, runtime: service.runtime };
  await new Upload(new Blob([content(PART)]), { ...options, onTokenExpired: async () => TOKEN }).start();
  let renewals = 0;
  const wrong = async () => `wrong-${renewals++}`;
  const error = await failure(new Upload(new Blob([content(PART)]), { ...options, onTokenExpired: wrong }).start());
  assert.deepEqual([error.reason, renewals], ["UPLOAD_TOKEN_EXPIRED", 3]);
});

test("pause ends what is in flight; resume sends what is missing", async () => {
  const service = new FakeService(6 * PART, PART);
  const upload = uploadTo(service, { parallel: 1 });
  const phases: string[] = [];
  service.onPut = (number) => {
    if (number === 3 && phases.length === 0) {
      upload.pause();
      phases.push(upload.phase);
      setImmediate(() => upload.resume());
      return "offline";
    }
    return undefined;
  };
  await upload.start();
  assert.deepEqual(phases, ["paused"]);
  assert.equal(service.headersOfPuts.length, 6);
  assert.equal(service.calls.filter((call) => call.startsWith("GET")).length, 2);
});

test("abort discards the parts, and start rejects with ABORTED", async () => {
  const service = new FakeService(6 * PART, PART);
  const upload = uploadTo(service, { parallel: 1 });
  let aborted: Promise<void> | undefined;
  service.onPut = (number) => {
    if (number === 3) aborted = upload.abort();
    return undefined;
  };
  const error = await failure(upload.start());
  await aborted;
  assert.deepEqual([error.reason, upload.phase], ["ABORTED", "aborted"]);
  assert.deepEqual([service.state, service.stored.size], ["UPLOAD_STATE_ABORTED", 0]);
});

test("an AbortSignal aborts, also a paused upload, also before the start", async () => {
  for (const when of ["before", "paused"]) {
    const service = new FakeService(2 * PART, PART);
    const controller = new AbortController();
    const upload = uploadTo(service, { signal: controller.signal });
    if (when === "before") controller.abort();
    const started = upload.start();
    if (when === "paused") {
      upload.pause();
      setImmediate(() => controller.abort());
    }
    assert.equal((await failure(started)).reason, "ABORTED");
    assert.equal(service.state, "UPLOAD_STATE_ABORTED");
  }
});

test("an abort that comes too late is refused, and the upload completes", async () => {
  const service = new FakeService(PART, PART);
  service.pollsWhileCompleting = 4;
  const upload = uploadTo(service, {
    onPhase: (phase) => {
      if (phase === "completing") refused = Promise.resolve().then(() => failure(upload.abort()));
    },
  });
  let refused: Promise<UploadError> | undefined;
  service.onCall = (_, path) => {
    if (path === ":abort") service.state = "UPLOAD_STATE_COMPLETING";
    return undefined;
  };
  assert.equal((await upload.start()).state, "UPLOAD_STATE_COMPLETED");
  assert.equal((await refused)?.reason, "UPLOAD_NOT_ACTIVE");
});

test("an Upload that was aborted says why", async () => {
  const service = new FakeService(PART, PART);
  service.state = "UPLOAD_STATE_ABORTED";
  service.abortReason = "ABORT_REASON_EXPIRED";
  const error = await failure(uploadTo(service).start());
  assert.deepEqual([error.reason, error.metadata.abort_reason], ["UPLOAD_ABORTED", "ABORT_REASON_EXPIRED"]);
});

test("a file of another size is refused before anything is sent", async () => {
  const service = new FakeService(2 * PART, PART);
  const error = await failure(uploadTo(service, {}, new Blob([content(PART)])).start());
  assert.deepEqual([error.reason, service.headersOfPuts.length], ["FILE_CHANGED", 0]);
});

test("start works again after a failure, with what is missing", async () => {
  const service = new FakeService(3 * PART, PART);
  service.onPut = (number) => (number === 2 ? { status: 501, text: "" } : undefined);
  const upload = uploadTo(service, { parallel: 1 });
  assert.equal((await failure(upload.start())).status, 501);
  assert.equal(upload.phase, "failed");
  service.onPut = () => undefined;
  await upload.start();
  assert.equal(service.headersOfPuts.length, 3);
});

test("no error holds a URL or a token", async () => {
  const makers: ((service: FakeService) => void)[] = [
    (service) => (service.onCall = () => "offline"),
    (service) => (service.onPut = () => "offline"),
    (service) => (service.onPut = () => ({ status: 400, text: "<Code>BadDigest</Code>secret-signature" })),
    (service) => (service.onCall = () => ({ status: 500, body: "secret-token" })),
    (service) => (service.token = "other"),
  ];
  for (const make of makers) {
    const service = new FakeService(PART, PART);
    make(service);
    const error = await failure(uploadTo(service, { giveUpAfterMs: 1000, viaService: false }).start());
    const text = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
    assert.doesNotMatch(text, /secret|https:/);
  }
});

test("the resume store is written first and emptied at the end", async () => {
  const service = new FakeService(PART, PART);
  const log: string[] = [];
  const resumeStore = {
    save: async (record: object) => void log.push(JSON.stringify(record)),
    list: async () => [],
    remove: async (id: string) => void log.push(id),
  };
  await uploadTo(service, { resumeStore }).start();
  assert.equal(log.length, 2);
  assert.doesNotMatch(log[0] ?? "", /secret/);
  assert.equal(log[1], UPLOAD_ID);
});
