/** The plugin with Uppy 5 and with Uppy 6, both on one page. */

import type { Page } from "@playwright/test";

import { addScript, expect, holdAfter, notePuts, type Stack, test } from "../stack.js";

/** Open a page with both versions; each is at window.uppy5 or window.uppy6. */
async function open(page: Page, stack: Stack): Promise<void> {
  await page.goto(stack.demo);
  for (const version of [5, 6]) await addScript(page, `uppy${version}.js`);
}

/** Add random files to one version's Uppy, and return their SHA-256 by name. */
function add(page: Page, version: number, files: Record<string, number>): Promise<Record<string, string>> {
  return page.evaluate(
    async ({ version, files }) => {
      const { uppy } = window[`uppy${version}` as "uppy6"];
      const digests: Record<string, string> = {};
      for (const [name, megabytes] of Object.entries(files)) {
        const data = new Uint8Array(megabytes * 1024 * 1024);
        for (let at = 0; at < data.length; at += 65536) crypto.getRandomValues(data.subarray(at, at + 65536));
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
        digests[name] = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
        uppy.addFile({ name, type: "application/octet-stream", data: new File([data], name) });
      }
      return digests;
    },
    { version, files },
  );
}

/** Start the upload, and do not wait for it. */
function begin(page: Page, version: number): Promise<void> {
  return page.evaluate((version) => {
    const page = window[`uppy${version}` as "uppy6"];
    page.result = page.uppy.upload().then((result) => result?.successful?.length ?? -1);
  }, version);
}

const result = (page: Page, version: number) => page.evaluate((v) => window[`uppy${v}` as "uppy6"].result, version);
const keys = (page: Page, version: number) => page.evaluate((v) => window[`uppy${v}` as "uppy6"].keys, version);
const percent = (page: Page, version: number) =>
  page.evaluate((v) => window[`uppy${v}` as "uppy6"].uppy.getState().totalProgress, version);

test("Uppy 5 and Uppy 6 each send three files at once", async ({ page, stack, stored }) => {
  await open(page, stack);
  for (const version of [5, 6]) {
    const digests = await add(page, version, { [`${version}-a.bin`]: 20, [`${version}-b.bin`]: 1, [`${version}-c.bin`]: 0 });
    await begin(page, version);
    expect(await result(page, version)).toBe(3);
    const found = await keys(page, version);
    const { objects } = await stored(Object.values(found));
    for (const [name, digest] of Object.entries(digests)) expect(objects[found[name]!], name).toBe(digest);
    expect(await percent(page, version)).toBe(100);
  }
});

for (const version of [5, 6]) {
  test(`Uppy ${version}: pause, resume and progress`, async ({ page, stack, stored }) => {
    await open(page, stack);
    const release = await holdAfter(page, stack, 1);
    const name = `pause-${version}.bin`;
    const digests = await add(page, version, { [name]: 40 });
    await begin(page, version);
    await expect.poll(() => percent(page, version)).toBeGreaterThan(10);
    await page.evaluate((v) => window[`uppy${v}` as "uppy6"].uppy.pauseAll(), version);
    await release();
    // Uppy shows progress some time after it was reported.
    await stored([]);
    const at = await percent(page, version);
    const puts = notePuts(page, stack);
    await stored([]);
    expect([await percent(page, version), puts.storage]).toEqual([at, []]);
    await page.evaluate((v) => window[`uppy${v}` as "uppy6"].uppy.resumeAll(), version);
    expect(await result(page, version)).toBe(1);
    const key = (await keys(page, version))[name]!;
    expect((await stored([key])).objects[key]).toBe(digests[name]);
  });

  test(`Uppy ${version}: cancelling leaves nothing`, async ({ page, stack, stored }) => {
    await open(page, stack);
    await holdAfter(page, stack, 1);
    await add(page, version, { [`cancel-${version}.bin`]: 40 });
    await begin(page, version);
    await expect.poll(() => percent(page, version)).toBeGreaterThan(10);
    const discarded = page.waitForResponse((response) => response.url().endsWith(":abort") && response.status() === 200);
    await page.evaluate((v) => window[`uppy${v}` as "uppy6"].uppy.cancelAll(), version);
    await discarded;
    const { unfinished } = await stored([]);
    expect(unfinished.filter((key) => key.includes(`cancel-${version}`))).toEqual([]);
    expect(await page.evaluate((v) => window[`uppy${v}` as "uppy6"].errors, version)).toEqual([]);
  });

  test(`Uppy ${version}: a failed file is retried, with the same Upload`, async ({ page, stack, stored }) => {
    await open(page, stack);
    let opened = 0;
    page.on("request", (request) => void (request.url().endsWith("/api/uploads") && opened++));
    await page.route(`${stack.s3.endpoint}/**`, (route) => {
      if (route.request().method() !== "PUT") return route.continue();
      return route.fulfill({ status: 501, headers: { "access-control-allow-origin": "*" } });
    });
    const name = `retry-${version}.bin`;
    const digests = await add(page, version, { [name]: 2 });
    await begin(page, version);
    expect(await result(page, version)).toBe(0);
    expect(await page.evaluate((v) => window[`uppy${v}` as "uppy6"].errors, version)).toEqual(["storage answers 501"]);
    await page.unroute(`${stack.s3.endpoint}/**`);
    await page.evaluate((v) => window[`uppy${v}` as "uppy6"].uppy.retryAll(), version);
    await expect.poll(() => keys(page, version)).toHaveProperty([name]);
    const key = (await keys(page, version))[name]!;
    expect((await stored([key])).objects[key]).toBe(digests[name]);
    expect(opened).toBe(1);
  });
}

declare global {
  interface Window {
    uppy6: {
      uppy: {
        addFile(file: object): string;
        upload(): Promise<{ successful?: unknown[] } | undefined>;
        getState(): { totalProgress: number };
        pauseAll(): void;
        resumeAll(): void;
        cancelAll(): void;
        retryAll(): Promise<unknown>;
      };
      keys: Record<string, string>;
      errors: string[];
      result: Promise<number>;
    };
  }
}
