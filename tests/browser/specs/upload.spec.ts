import type { Harness } from "../pages/harness.js";
import { addScript, expect, notePuts, sendSlowly, test } from "../stack.js";

declare global {
  interface Window {
    harness: Harness;
    started: Awaited<ReturnType<Harness["start"]>>;
    digest: string;
  }
}

type Page = Parameters<typeof sendSlowly>[0];

/** Start an upload of a random file in the page. */
async function start(page: Page, name: string, megabytes: number, options: object = {}): Promise<string> {
  const given = { name, megabytes, options };
  return page.evaluate(async ({ name, megabytes, options }) => {
    const { file, digest } = await window.harness.randomFile(name, megabytes);
    window.started = await window.harness.start(file, await window.harness.initialize(file), options);
    return digest;
  }, given);
}

const outcome = (page: Page) => page.evaluate(() => window.started.outcome);

/** Return the key of the object, once the upload is complete. */
async function completedKey(page: Page): Promise<string> {
  const key = await outcome(page);
  expect(key).not.toContain("Error");
  return key;
}

const bytesSent = (page: Page) => page.evaluate(() => window.started.bytesSent);
const MIB = 1024 * 1024;

async function untilSent(page: Page, bytes: number): Promise<void> {
  await page.waitForFunction((least) => window.started.bytesSent >= least, bytes);
}

test("64 MiB arrive as they were", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  const digest = await start(harness, "whole.bin", 64);
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length).toBeGreaterThan(4);
  expect(puts.gateway).toEqual([]);
  expect(await harness.evaluate(() => window.started.phases)).toEqual(["uploading", "completing", "completed"]);
});

test("a small file is one PUT, and an empty one too", async ({ harness, stored }) => {
  for (const megabytes of [0, 1]) {
    const digest = await start(harness, `small-${megabytes}.bin`, megabytes);
    const key = await completedKey(harness);
    expect((await stored([key])).objects[key]).toBe(digest);
  }
});

test("each checksum that the client computes is accepted by storage", async ({ harness, stack, stored }) => {
  for (const algorithm of ["CRC32C", "SHA256", "CRC64NVME"]) {
    const created = await harness.evaluate(
      async ({ rest, algorithm }) => {
        const { file, digest } = await window.harness.randomFile(`${algorithm}.bin`, 20);
        const body = { fileName: file.name, sizeBytes: file.size, checksumAlgorithm: `CHECKSUM_ALGORITHM_${algorithm}`, uploadToken: {} };
        const headers = { "content-type": "application/json" };
        const answer = await (await fetch(`${rest}/v1/uploads`, { method: "POST", headers, body: JSON.stringify(body) })).json();
        if (answer.upload === undefined) return answer.message as string;
        const initialized = { gateway: rest, uploadId: answer.upload.id, token: answer.uploadToken.token };
        window.started = await window.harness.start(file, initialized);
        return digest;
      },
      { rest: stack.rest, algorithm },
    );
    const key = await completedKey(harness);
    expect((await stored([key])).objects[key], algorithm).toBe(created);
  }
});

test("after a reload only what is missing is sent, with the file from its handle", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  await sendSlowly(harness, 8 * MIB);
  const digest = await harness.evaluate(async () => {
    const { file, digest } = await window.harness.randomFile("reload.bin", 64);
    // Chromium's picker cannot be used without a person; a handle of the origin's own files is one too.
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("reload.bin", { create: true });
    const writable = await handle.createWritable();
    await writable.write(file);
    await writable.close();
    const onDisk = await handle.getFile();
    window.started = await window.harness.start(onDisk, await window.harness.initialize(onDisk), { remember: true, handle });
    return digest;
  });
  await untilSent(harness, 24 * MIB);
  await harness.reload();
  await addScript(harness, "harness.js");
  const before = puts.storage.length;
  expect(before).toBeGreaterThan(0);
  await harness.evaluate(async () => {
    const store = await window.harness.openResumeStore();
    const [record] = await store.list();
    const file = await window.harness.reopenFile(record!);
    const { gateway, uploadId } = record!;
    const token = await window.harness.renewToken(uploadId);
    window.started = await window.harness.start(file!, { gateway, uploadId, token }, { remember: true });
  });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length - before).toBeLessThan(64 / 8);
  expect(await harness.evaluate(async () => (await window.harness.openResumeStore()).list())).toEqual([]);
});

test("a URL that expired is presigned again", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  let expired = 0;
  const statuses: number[] = [];
  harness.on("response", (response) => void (response.url().startsWith(stack.s3.endpoint) && statuses.push(response.status())));
  await harness.route(`${stack.s3.endpoint}/**`, async (route) => {
    const url = new URL(route.request().url());
    if (route.request().method() !== "PUT" || expired >= 2 || puts.storage.length < 2) return route.continue();
    expired++;
    // Storage itself refuses it: the time is part of what is signed.
    url.searchParams.set("X-Amz-Date", "20200101T000000Z");
    return route.continue({ url: url.href });
  });
  const digest = await start(harness, "expired.bin", 64);
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(expired).toBe(2);
  expect(statuses).toContain(403);
});

test("the network is lost, and comes back", async ({ harness, stack, context, stored }) => {
  const puts = notePuts(harness, stack);
  await sendSlowly(harness, 16 * MIB);
  const digest = await start(harness, "offline.bin", 64);
  await untilSent(harness, 16 * MIB);
  let failed = 0;
  const lost = new Promise<void>((resolve) => harness.on("requestfailed", () => void (++failed >= 8 && resolve())));
  await context.setOffline(true);
  await lost;
  expect(await harness.evaluate(() => window.started.upload.phase)).toBe("uploading");
  await context.setOffline(false);
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.gateway, "the network was away, not storage").toEqual([]);
});

test("parts go through the service where storage cannot be reached", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  await harness.route(`${stack.s3.endpoint}/**`, (route) => route.abort("connectionrefused"));
  const digest = await start(harness, "blocked.bin", 40);
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.gateway.length).toBeGreaterThan(2);
  expect(puts.storage).toEqual([]);
  expect(await harness.evaluate(() => window.started.routes)).toEqual(["service"]);
});

test("storage becomes unreachable in the middle", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  await harness.route(`${stack.s3.endpoint}/**`, (route) => (puts.storage.length >= 2 ? route.abort() : route.continue()));
  const digest = await start(harness, "half.bin", 64, { parallel: 2 });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length).toBeGreaterThanOrEqual(2);
  expect(puts.gateway.length).toBeGreaterThan(0);
});

test("nothing is sent while it is paused", async ({ harness, stack, stored }) => {
  await sendSlowly(harness, 8 * MIB);
  const digest = await start(harness, "pause.bin", 48);
  await untilSent(harness, 10 * MIB);
  const begun: string[] = [];
  await harness.evaluate(() => window.started.upload.pause());
  harness.on("request", (request) => begun.push(request.url()));
  const at = await bytesSent(harness);
  // As long as the parts in flight would have taken.
  await stored([]);
  expect(await bytesSent(harness)).toBe(at);
  expect(begun).toEqual([]);
  await harness.evaluate(() => window.started.upload.resume());
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(await harness.evaluate(() => window.started.phases)).toEqual(["uploading", "paused", "uploading", "completing", "completed"]);
});

test("an abort in the middle leaves nothing", async ({ harness, stored }) => {
  await sendSlowly(harness, 8 * MIB);
  await start(harness, "cancel.bin", 48, { remember: true });
  await untilSent(harness, 10 * MIB);
  await harness.evaluate(() => window.started.upload.abort());
  expect(await outcome(harness)).toContain("ABORTED");
  const { unfinished } = await stored([]);
  expect(unfinished.filter((key) => key.includes("cancel"))).toEqual([]);
  expect(await harness.evaluate(async () => (await window.harness.openResumeStore()).list())).toEqual([]);
});

test("a token that ends in the middle is renewed", async ({ harness, stack, stored }) => {
  await sendSlowly(harness, 8 * MIB);
  const digest = await harness.evaluate(async (rest) => {
    const { file, digest } = await window.harness.randomFile("token.bin", 64);
    const body = { fileName: file.name, sizeBytes: file.size, uploadToken: { lifetime: "2s" } };
    const headers = { "content-type": "application/json" };
    const answer = await (await fetch(`${rest}/v1/uploads`, { method: "POST", headers, body: JSON.stringify(body) })).json();
    const initialized = { gateway: rest, uploadId: answer.upload.id, token: answer.uploadToken.token };
    window.started = await window.harness.start(file, initialized);
    return digest;
  }, stack.rest);
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(await harness.evaluate(() => window.started.renewals)).toBe(1);
});

test("neither console nor errors hold a URL or a token", async ({ harness, stack }) => {
  const lines: string[] = [];
  harness.on("console", (message) => message.type() !== "error" && lines.push(message.text()));
  await harness.route(`${stack.s3.endpoint}/**`, (route) => route.abort());
  await start(harness, "quiet.bin", 1, { viaService: false, giveUpAfterMs: 1 });
  const failure = await outcome(harness);
  expect(failure).toContain("STORAGE_UNREACHABLE");
  expect(`${failure} ${lines.join(" ")}`).not.toMatch(/X-Amz|http|Partway /);
});
