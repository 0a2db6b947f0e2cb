import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";

/** Debian's Chromium, or the one that Playwright installed. */
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium"].find(existsSync);

export default defineConfig({
  testDir: "specs",
  globalSetup: "./build.ts",
  // One stack serves all tests; each uploads files of its own.
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 60_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: "list",
  outputDir: "results",
  use: {
    launchOptions: {
      ...(chromium ? { executablePath: chromium } : {}),
      args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    },
  },
});
