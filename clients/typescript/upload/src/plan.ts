/** Which bytes of the file are which part. */

import type { PartRange, UploadResource } from "./wire.js";

export class Plan {
  readonly partCount: number;
  readonly sizeBytes: number;
  readonly checksumAlgorithm: string;
  readonly #partSizeBytes: number;

  constructor(upload: UploadResource) {
    this.partCount = upload.partCount;
    this.sizeBytes = Number(upload.sizeBytes);
    this.checksumAlgorithm = upload.checksumAlgorithm;
    this.#partSizeBytes = Number(upload.partSizeBytes);
  }

  /** Return the bytes of a part. The type is left out, or the browser would send it as a header. */
  slice(file: Blob, partNumber: number): Blob {
    const offset = (partNumber - 1) * this.#partSizeBytes;
    return file.slice(offset, Math.min(offset + this.#partSizeBytes, this.sizeBytes));
  }

  partSize(partNumber: number): number {
    const offset = (partNumber - 1) * this.#partSizeBytes;
    return Math.min(this.#partSizeBytes, this.sizeBytes - offset);
  }
}

/** Return every number of the ranges. */
export function numbersOf(ranges: readonly PartRange[]): number[] {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

/** Return ascending numbers as ranges. */
export function rangesOf(numbers: readonly number[]): PartRange[] {
  const ranges: PartRange[] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last.last === number - 1) last.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges;
}
