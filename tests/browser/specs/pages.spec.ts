/** The pages of examples/browser, as `partway-server dev --demo-page` serves them. */

import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { TestInfo } from "@playwright/test";

import { expect, holdAfter, notePuts, sendSlowly, test } from "../stack.js";

const MIB = 1024 * 1024;

/** Write a file of random bytes, and return its path and SHA-256. */
async function randomFile(info: TestInfo, name: string, megabytes: number): Promise<{ path: string; digest: string }> {
  const bytes = randomBytes(megabytes * MIB);
  const path = info.outputPath(name);
  await writeFile(path, bytes);
  return { path, digest: createHash("sha256").update(bytes).digest("hex") };
}

const keyIn = (line: string | null) => decodeURIComponent(/s3:\/\/[^/]+\/(\S+)/.exec(line ?? "")?.[1] ?? "");

test("the page without a library sends 64 MiB", async ({ page, stack, stored }, info) => {
  const { path, digest } = await randomFile(info, "film.mp4", 64);
  await page.goto(`${stack.demo}plain.html`);
  await page.setInputFiles("#file", path);
  await expect(page.locator("#phase")).toContainText("stored as");
  const key = keyIn(await page.textContent("#phase"));
  expect((await stored([key])).objects[key]).toBe(digest);
});

test("the page without a library resumes after a reload", async ({ page, stack, stored }, info) => {
  const { path, digest } = await randomFile(info, "resumed.mp4", 64);
  const puts = notePuts(page, stack);
  await page.goto(`${stack.demo}plain.html`);
  const release = await holdAfter(page, stack, 2);
  await page.setInputFiles("#file", path);
  await expect.poll(() => puts.storage.length).toBe(2);
  const chosen = page.waitForEvent("filechooser");
  await page.reload();
  await release();
  await page.getByRole("button", { name: "Resume resumed.mp4" }).click();
  await (await chosen).setFiles(path);
  await expect(page.locator("#phase")).toContainText("stored as");
  const key = keyIn(await page.textContent("#phase"));
  expect((await stored([key])).objects[key]).toBe(digest);
  expect(puts.storage.length).toBe(4);
});

test("the page without a library pauses and cancels", async ({ page, stack, stored }, info) => {
  const { path } = await randomFile(info, "cancelled.mp4", 48);
  await page.goto(`${stack.demo}plain.html`);
  await holdAfter(page, stack, 1);
  await page.setInputFiles("#file", path);
  await expect(page.locator("#figures")).toContainText(/^[1-9]/);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.locator("#phase")).toHaveText("paused");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator("#phase")).toHaveText("cancelled");
  expect((await stored([])).unfinished.filter((key) => key.includes("cancelled"))).toEqual([]);
});

test("the Dashboard sends three files at once", async ({ page, stack, stored }, info) => {
  const files = await Promise.all(["one.jpg", "two.mov", "three.zip"].map((name, at) => randomFile(info, name, 1 + 12 * at)));
  await page.goto(`${stack.demo}uppy.html`);
  await sendSlowly(page, 16 * MIB);
  await page.setInputFiles(".uppy-Dashboard-input >> nth=0", files.map(({ path }) => path));
  await page.getByRole("button", { name: "Upload 3 files" }).click();
  if (process.env.SCREENSHOT) {
    await expect(page.locator("#stored li")).toHaveCount(1);
    await page.screenshot({ path: process.env.SCREENSHOT });
  }
  await expect(page.locator("#stored li")).toHaveCount(3);
  const lines = await page.locator("#stored li").allTextContents();
  const { objects } = await stored(lines.map(keyIn));
  expect(Object.values(objects).sort()).toEqual(files.map(({ digest }) => digest).sort());
});
