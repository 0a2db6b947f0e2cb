/** Bundles the pages of the tests: the client alone, and the plugin once with each version of Uppy. */

import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const BUILT = fileURLToPath(new URL("./build/", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));

export default async function buildPages(): Promise<void> {
  const shared = {
    absWorkingDir: here,
    bundle: true,
    format: "esm",
    target: "es2022",
    preserveSymlinks: true,
    outdir: BUILT,
    logLevel: "warning",
  } as const;
  await build({ ...shared, entryPoints: ["pages/harness.ts"] });
  for (const version of [5, 6]) {
    await build({
      ...shared,
      entryPoints: [{ in: "pages/uppy.ts", out: `uppy${version}` }],
      alias: { "@uppy/core": `uppy${version}-core`, "@uppy/dashboard": `uppy${version}-dashboard` },
      define: { VERSION: String(version) },
    });
  }
}
