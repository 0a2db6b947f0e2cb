import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { expand } from "../src/compact_parts.js";
import type { CompactParts, PresignedPart } from "../src/wire.js";

interface Vector {
  checksums: Record<string, string>;
  compactParts: CompactParts;
  parts: (PresignedPart & { expireTime: string })[];
}

const VECTORS: Record<string, Vector> = JSON.parse(
  readFileSync(new URL("../../../../../docs/reference/compact_parts.json", import.meta.url), "utf8"),
);

for (const [name, { checksums, compactParts, parts }] of Object.entries(VECTORS)) {
  test(`expands ${name}`, () => {
    const named = Object.entries(checksums).map(([number, checksum]) => ({ partNumber: Number(number), checksum }));
    const expected = parts.map(({ expireTime: _, headers, offsetBytes, ...part }) => ({
      ...part,
      headers: headers ?? {},
      offsetBytes: offsetBytes ?? "0",
    }));
    assert.deepEqual(expand(compactParts, named), expected);
  });
}
