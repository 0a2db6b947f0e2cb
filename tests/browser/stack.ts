/** The embedded stack, and pages in a browser that may call it. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test as base, expect, type Page } from "@playwright/test";

import { BUILT } from "./build.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BIN = join(ROOT, ".venv/bin");

export interface Stack {
  rest: string;
  demo: string;
  s3: { endpoint: string; bucket: string };
}

/** What storage holds: the SHA-256 of each object, and the keys of uploads that were not completed. */
export interface Stored {
  objects: Record<string, string>;
  unfinished: string[];
}

export const test = base.extend<{ harness: Page; stored: (keys: string[]) => Promise<Stored> }, { stack: Stack }>({
  stack: [
    async ({}, use) => {
      const server = spawn(join(BIN, "partway-server"), ["dev", "--rest", "--demo-page"], {
        cwd: ROOT,
        env: { ...process.env, PARTWAY_LOG_LEVEL: "warning" },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const lines = createInterface({ input: server.stdout });
      const [line] = (await Promise.race([once(lines, "line"), once(lines, "close")])) as [string | undefined];
      if (line === undefined) throw new Error("the stack did not start");
      await use(JSON.parse(line) as Stack);
      const ended = once(server, "exit");
      server.kill("SIGTERM");
      await ended;
    },
    { scope: "worker", timeout: 120_000 },
  ],

  /** A page at the demo's origin with the client, and nothing else. */
  harness: async ({ page, stack }, use) => {
    await page.goto(stack.demo);
    await addScript(page, "harness.js");
    await use(page);
  },

  stored: async ({ stack }, use) => {
    await use(async (keys) => {
      const options = { cwd: ROOT, env: { ...process.env, S3: JSON.stringify(stack.s3) } };
      const run = promisify(execFile)(join(BIN, "python"), ["-m", "tests.browser.stored", ...keys], options);
      return JSON.parse((await run).stdout) as Stored;
    });
  },
});

/**
 * Add a built script to the page, which must be one of the demo's.
 *
 * A page that the test itself answered for would be of no known network, and Chromium lets no such
 * page call loopback addresses: https://wicg.github.io/local-network-access/.
 */
export async function addScript(page: Page, name: string): Promise<void> {
  await page.addScriptTag({ path: join(BUILT, name), type: "module" });
}

/** Limit how fast the page sends, so that there is a middle to interrupt. */
export async function sendSlowly(page: Page, bytesPerSecond: number): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesPerSecond,
  });
}

/**
 * Let the first parts reach storage, and keep the others on their way, so that there is a middle to
 * interrupt. What it returns lets those go that begin after it was called.
 */
export async function holdAfter(page: Page, stack: Stack, parts: number): Promise<() => Promise<void>> {
  const storage = `${stack.s3.endpoint}/**`;
  let begun = 0;
  await page.route(storage, async (route) => {
    if (route.request().method() !== "PUT" || ++begun <= parts) await route.continue();
  });
  return () => page.unroute(storage);
}

/** Note the PUTs of a page that were answered with 200, by where they went. */
export function notePuts(page: Page, stack: Stack): { storage: string[]; gateway: string[] } {
  const puts = { storage: [] as string[], gateway: [] as string[] };
  page.on("response", (response) => {
    if (response.request().method() !== "PUT" || response.status() !== 200) return;
    const url = response.url();
    (url.startsWith(stack.rest) ? puts.gateway : puts.storage).push(new URL(url).searchParams.get("partNumber") ?? url);
  });
  return puts;
}

export { expect };
