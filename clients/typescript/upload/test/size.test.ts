import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const MOST_BYTES = 12_000;

test("all of it is under 12 kB, minified and gzipped", async () => {
  const entry = fileURLToPath(new URL("../src/index.js", import.meta.url));
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, format: "esm", write: false });
  const size = gzipSync(outputFiles[0]!.contents).length;
  assert.ok(size < MOST_BYTES, `${size} bytes`);
});
