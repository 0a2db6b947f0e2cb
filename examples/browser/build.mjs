// Bundles the pages into the folder from which `partway-server dev --demo-page` serves them, or into
// the folder given, with the licences of what is bundled.

import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../../server/partway_server/devstack/demo_files");

mkdirSync(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["plain.js", "uppy.js"],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  // Packages that are linked find their peers here, not where they are linked to.
  preserveSymlinks: true,
  metafile: true,
  legalComments: "none",
});
for (const name of ["index.html", "plain.html", "uppy.html", "page.css"]) cpSync(join(here, name), join(out, name));
writeFileSync(join(out, "licences.txt"), licences(Object.keys(metafile.inputs)));

/** Return the licence texts of all packages that the inputs are from. */
function licences(inputs) {
  const folders = new Set(inputs.map((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]).filter(Boolean));
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = ["LICENSE", "LICENSE.md", "license", "LICENCE"].map((each) => join(here, folder, each)).find(existsSync);
    return `${name} ${version} (${license})\n\n${file ? readFileSync(file, "utf8") : ""}`;
  });
  return texts.join("\n----\n\n");
}
