import assert from "node:assert/strict";
import { test } from "node:test";

import { partChecksum } from "../src/checksums.js";
import { UploadError } from "../src/index.js";

// The check values of https://reveng.sourceforge.io/crc-catalogue/, and of FIPS 180-4.
const CHECKED = new Blob(["123456789"]);
const EXPECTED = {
  CHECKSUM_ALGORITHM_CRC32C: "e3069283",
  CHECKSUM_ALGORITHM_CRC64NVME: "ae8b14860a799888",
  CHECKSUM_ALGORITHM_SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
};

for (const [algorithm, hex] of Object.entries(EXPECTED)) {
  test(`${algorithm} of the check string`, async () => {
    const checksum = await partChecksum(algorithm, CHECKED);
    assert.equal(Buffer.from(checksum ?? "", "base64").toString("hex"), hex);
  });
}

test("without an algorithm there is no checksum", async () => {
  assert.equal(await partChecksum("CHECKSUM_ALGORITHM_NONE", CHECKED), undefined);
});

test("an algorithm that is not built in is named", async () => {
  await assert.rejects(partChecksum("CHECKSUM_ALGORITHM_MD5", CHECKED), (error) => {
    assert.ok(error instanceof UploadError);
    assert.equal(error.reason, "CHECKSUM_UNSUPPORTED");
    assert.match(error.message, /MD5/);
    return true;
  });
});

test("a checksum of many chunks is that of their bytes", async () => {
  const large = new Blob([new Uint8Array(300_000).fill(7)]);
  const pieces = new Blob(Array.from({ length: 3 }, () => new Uint8Array(100_000).fill(7)));
  for (const algorithm of Object.keys(EXPECTED)) {
    assert.equal(await partChecksum(algorithm, large), await partChecksum(algorithm, pieces));
  }
});
