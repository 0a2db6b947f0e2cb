/** The checksums that parts carry. */

import { UploadError } from "./errors.js";

/** Return the checksum of a part in Base64, or undefined if the Upload has none. */
export async function partChecksum(algorithm: string, part: Blob): Promise<string | undefined> {
  switch (algorithm) {
    case "CHECKSUM_ALGORITHM_UNSPECIFIED":
    case "CHECKSUM_ALGORITHM_NONE":
      return undefined;
    case "CHECKSUM_ALGORITHM_SHA256":
      return base64(new Uint8Array(await crypto.subtle.digest("SHA-256", await part.arrayBuffer())));
    case "CHECKSUM_ALGORITHM_CRC32C":
      return base64(bigEndian([await crc32c(part)]));
    case "CHECKSUM_ALGORITHM_CRC64NVME":
      return base64(bigEndian(await crc64nvme(part)));
    default:
      throw new UploadError(
        "CHECKSUM_UNSUPPORTED",
        `this client cannot compute ${algorithm}; initialize the Upload with SHA256, CRC32C, CRC64NVME or NONE`,
      );
  }
}

async function crc32c(part: Blob): Promise<number> {
  const [, table] = tables(0, 0x82f63b78);
  let crc = 0xffffffff;
  for await (const bytes of chunks(part)) {
    for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]!) & 0xff]!;
  }
  return ~crc;
}

/** Return CRC-64/NVME as its high and low halves: BigInt would be twenty times slower. */
async function crc64nvme(part: Blob): Promise<[number, number]> {
  const [highTable, lowTable] = tables(0x9a6c9329, 0xac4bc9b5);
  let high = 0xffffffff;
  let low = 0xffffffff;
  for await (const bytes of chunks(part)) {
    for (let i = 0; i < bytes.length; i++) {
      const entry = (low ^ bytes[i]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ lowTable[entry]!;
      high = (high >>> 8) ^ highTable[entry]!;
    }
  }
  return [~high, ~low];
}

/** Return the tables of a reflected CRC of 64 bits, in halves; one of 32 bits has no high half. */
function tables(polynomialHigh: number, polynomialLow: number): [Uint32Array, Uint32Array] {
  const highTable = new Uint32Array(256);
  const lowTable = new Uint32Array(256);
  for (let entry = 0; entry < 256; entry++) {
    let high = 0;
    let low = entry;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        low ^= polynomialLow;
        high ^= polynomialHigh;
      }
    }
    highTable[entry] = high;
    lowTable[entry] = low;
  }
  return [highTable, lowTable];
}

async function* chunks(part: Blob): AsyncGenerator<Uint8Array> {
  const reader = part.stream().getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}

function bigEndian(words: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * words.length));
  for (const [index, word] of words.entries()) view.setInt32(4 * index, word);
  return new Uint8Array(view.buffer);
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
