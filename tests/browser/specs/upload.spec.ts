import type { Harness } from "../pages/harness.js";
import { addScript, expect, holdAfter, notePuts, sendSlowly, type Stack, test } from "../stack.js";

declare global {
  interface Window {
    harness: Harness;
    started: Awaited<ReturnType<Harness["start"]>>;
    digest: string;
  }
}

type Page = Parameters<typeof sendSlowly>[0];

interface Start {
  name: string;
  megabytes: number;
  /** Of the Upload's initialization. */
  upload?: object;
  /** Of the client. */
  options?: object;
}

/** Start an upload of a random file in the page, and return the SHA-256 of that. */
function start(page: Page, stack: Stack, wanted: Start): Promise<string> {
  return page.evaluate(
    async ({ rest, name, megabytes, upload, options }) => {
      const { file, digest } = await window.harness.randomFile(name, megabytes);
      window.started = await window.harness.start(file, await window.harness.initialize(rest, file, upload), options);
      return digest;
    },
    { rest: stack.rest, ...wanted },
  );
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
  const digest = await start(harness, stack, { name: "whole.bin", megabytes: 64 });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length).toBe(13);
  expect(puts.gateway).toEqual([]);
  expect(await harness.evaluate(() => window.started.phases)).toEqual(["uploading", "completing", "completed"]);
});

test("a small file is one PUT, and an empty one too", async ({ harness, stack, stored }) => {
  for (const megabytes of [0, 1]) {
    const digest = await start(harness, stack, { name: `small-${megabytes}.bin`, megabytes: megabytes });
    const key = await completedKey(harness);
    expect((await stored([key])).objects[key]).toBe(digest);
  }
});

test("each checksum that the client computes is accepted by storage", async ({ harness, stack, stored }) => {
  for (const algorithm of ["CRC32C", "SHA256", "CRC64NVME"]) {
    const upload = { checksumAlgorithm: `CHECKSUM_ALGORITHM_${algorithm}` };
    const digest = await start(harness, stack, { name: `${algorithm}.bin`, megabytes: 12, upload });
    const key = await completedKey(harness);
    expect((await stored([key])).objects[key], algorithm).toBe(digest);
  }
});

test("after a reload only what is missing is sent, with the file from its handle", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  const release = await holdAfter(harness, stack, 3);
  const digest = await harness.evaluate(async (rest) => {
    const { file, digest } = await window.harness.randomFile("reload.bin", 40);
    // Chromium's picker cannot be used without a person; a handle of the origin's own files is one too.
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("reload.bin", { create: true });
    const writable = await handle.createWritable();
    await writable.write(file);
    await writable.close();
    const onDisk = await handle.getFile();
    const initialized = await window.harness.initialize(rest, onDisk);
    window.started = await window.harness.start(onDisk, initialized, { remember: true, handle, parallel: 2 });
    return digest;
  }, stack.rest);
  await expect.poll(() => puts.storage.length).toBe(3);
  await harness.reload();
  await release();
  await addScript(harness, "harness.js");
  await harness.evaluate(async () => {
    const [record] = await (await window.harness.openResumeStore()).list();
    const file = await window.harness.reopenFile(record!);
    const { gateway, uploadId } = record!;
    const token = await window.harness.renewToken(uploadId);
    window.started = await window.harness.start(file!, { gateway, uploadId, token }, { remember: true });
  });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length).toBe(8);
  expect(await harness.evaluate(async () => (await window.harness.openResumeStore()).list())).toEqual([]);
});

test("a URL that expired is presigned again", async ({ harness, stack, stored }) => {
  let puts = 0;
  const refused: number[] = [];
  await harness.route(`${stack.s3.endpoint}/**`, async (route) => {
    const url = new URL(route.request().url());
    if (route.request().method() !== "PUT" || ![3, 4].includes(++puts)) return route.continue();
    // Storage itself refuses it: the time is part of what is signed.
    url.searchParams.set("X-Amz-Date", "20200101T000000Z");
    const response = await route.fetch({ url: url.href });
    refused.push(response.status());
    return route.fulfill({ response });
  });
  const digest = await start(harness, stack, { name: "expired.bin", megabytes: 30 });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(refused).toEqual([403, 403]);
});

test("the network is lost, and comes back", async ({ harness, stack, context, stored }) => {
  const puts = notePuts(harness, stack);
  let begun = 0;
  let failed = 0;
  harness.on("requestfailed", () => void failed++);
  await harness.route(`${stack.s3.endpoint}/**`, async (route) => {
    if (route.request().method() === "PUT" && ++begun === 3) await context.setOffline(true);
    await route.continue();
  });
  const digest = await start(harness, stack, { name: "offline.bin", megabytes: 40, options: { parallel: 2 } });
  await expect.poll(() => failed).toBeGreaterThanOrEqual(8);
  expect(await harness.evaluate(() => window.started.upload.phase)).toBe("uploading");
  await context.setOffline(false);
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.gateway, "the network was away, not storage").toEqual([]);
});

test("parts go through the service where storage cannot be reached", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  await harness.route(`${stack.s3.endpoint}/**`, (route) => route.abort("connectionrefused"));
  const digest = await start(harness, stack, { name: "blocked.bin", megabytes: 20 });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.gateway.length).toBeGreaterThan(2);
  expect(puts.storage).toEqual([]);
  expect(await harness.evaluate(() => window.started.routes)).toEqual(["service"]);
});

test("storage becomes unreachable in the middle", async ({ harness, stack, stored }) => {
  const puts = notePuts(harness, stack);
  await harness.route(`${stack.s3.endpoint}/**`, (route) => (puts.storage.length >= 2 ? route.abort() : route.continue()));
  const digest = await start(harness, stack, { name: "half.bin", megabytes: 30, options: { parallel: 2 } });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length).toBeGreaterThanOrEqual(2);
  expect(puts.gateway.length).toBeGreaterThan(0);
});

test("nothing is sent while it is paused", async ({ harness, stack, stored }) => {
  const release = await holdAfter(harness, stack, 2);
  let begun = 0;
  harness.on("request", (request) => void (request.method() === "PUT" && begun++));
  const digest = await start(harness, stack, { name: "pause.bin", megabytes: 24 });
  await untilSent(harness, 10 * MIB);
  // A request is announced after it began: those of all five parts, before the pause.
  await expect.poll(() => begun).toBe(5);
  await harness.evaluate(() => window.started.upload.pause());
  const at = await bytesSent(harness);
  await release();
  // As long as a part would have taken.
  await stored([]);
  expect(await bytesSent(harness)).toBe(at);
  expect(begun).toBe(5);
  await harness.evaluate(() => window.started.upload.resume());
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(await harness.evaluate(() => window.started.phases)).toEqual(["uploading", "paused", "uploading", "completing", "completed"]);
});

test("an abort in the middle leaves nothing", async ({ harness, stack, stored }) => {
  await holdAfter(harness, stack, 2);
  await start(harness, stack, { name: "cancel.bin", megabytes: 24, options: { remember: true } });
  await untilSent(harness, 10 * MIB);
  await harness.evaluate(() => window.started.upload.abort());
  expect(await outcome(harness)).toContain("ABORTED");
  const { unfinished } = await stored([]);
  expect(unfinished.filter((key) => key.includes("cancel"))).toEqual([]);
  expect(await harness.evaluate(async () => (await window.harness.openResumeStore()).list())).toEqual([]);
});

test("a token that ends in the middle is renewed", async ({ harness, stack, stored }) => {
  await sendSlowly(harness, 8 * MIB);
  const upload = { uploadToken: { lifetime: "2s" } };
  const digest = await start(harness, stack, { name: "token.bin", megabytes: 48, upload });
  const key = await completedKey(harness);
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(await harness.evaluate(() => window.started.renewals)).toBe(1);
});

test("neither console nor errors hold a URL or a token", async ({ harness, stack }) => {
  const lines: string[] = [];
  harness.on("console", (message) => message.type() !== "error" && lines.push(message.text()));
  await harness.route(`${stack.s3.endpoint}/**`, (route) => route.abort());
  await start(harness, stack, { name: "quiet.bin", megabytes: 1, options: { viaService: false, giveUpAfterMs: 1 } });
  const failure = await outcome(harness);
  expect(failure).toContain("STORAGE_UNREACHABLE");
  expect(`${failure} ${lines.join(" ")}`).not.toMatch(/X-Amz|http|Partway /);
});
