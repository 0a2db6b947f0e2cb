/** Put each part's URL together from what all have in common: see CompactParts in upload.proto. */

import type { PartChecksum } from "./gateway.js";
import type { CompactParts, PresignedPart } from "./wire.js";

const SIGNATURE_BYTES = 32;

/** Return the parts in order. `checksums` are those that the request named. */
export function expand(compact: CompactParts, checksums: readonly PartChecksum[]): PresignedPart[] {
  const named = new Map(checksums.map(({ partNumber, checksum }) => [partNumber, checksum]));
  const bytes = Uint8Array.from(atob(compact.signatures), (character) => character.charCodeAt(0));
  const partSize = Number(compact.partSizeBytes);
  let begin = 0;
  return compact.ranges.flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => {
      const partNumber = first + index;
      const signature = bytes.subarray(begin, (begin += SIGNATURE_BYTES));
      const hex = Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("");
      const offset = (partNumber - 1) * partSize;
      const checksum = named.get(partNumber);
      return {
        partNumber,
        method: "PUT",
        url: `${compact.urlPrefix}${partNumber}${compact.urlInfix}${hex}`,
        headers: compact.checksumHeader && checksum !== undefined ? { [compact.checksumHeader]: checksum } : {},
        offsetBytes: String(offset),
        sizeBytes: String(Math.min(partSize, Number(compact.sizeBytes) - offset)),
      };
    }),
  );
}
