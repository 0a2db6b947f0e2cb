/** URLs for the parts that are about to be sent. They are secrets, and stay in this module's memory. */

import { partChecksum } from "./checksums.js";
import type { Gateway, PartChecksum } from "./gateway.js";
import { type Plan, rangesOf } from "./plan.js";
import type { PresignedPart } from "./wire.js";

/** How many parts ahead to presign, for each part in flight. Few: URLs expire while they wait. */
const AHEAD = 2;

export class PresignedUrls {
  readonly #gateway: Gateway;
  readonly #plan: Plan;
  readonly #file: Blob;
  readonly #signal: AbortSignal;
  readonly #window: number;
  readonly #ready = new Map<number, Promise<PresignedPart>>();
  #expected: number[];

  constructor(
    from: { gateway: Gateway; plan: Plan; file: Blob; signal: AbortSignal },
    expected: readonly number[],
    parallel: number,
  ) {
    this.#gateway = from.gateway;
    this.#plan = from.plan;
    this.#file = from.file;
    this.#signal = from.signal;
    this.#window = parallel * AHEAD;
    this.#expected = [...expected];
  }

  /** Return the URL of a part, once. Taking it again presigns it again. */
  async take(partNumber: number): Promise<PresignedPart> {
    const ready = this.#ready.get(partNumber) ?? this.#presignFrom(partNumber);
    this.#ready.delete(partNumber);
    return ready;
  }

  /** Presign a part, and those that follow it and have not been asked for. */
  #presignFrom(partNumber: number): Promise<PresignedPart> {
    const next = this.#expected.filter((number) => number > partNumber && !this.#ready.has(number));
    // A part that is tried again is no reason to presign others.
    const numbers = this.#expected.includes(partNumber) ? [partNumber, ...next.slice(0, this.#window - 1)] : [partNumber];
    this.#expected = this.#expected.filter((number) => !numbers.includes(number));
    const batch = this.#presign(numbers);
    for (const number of numbers) {
      const part = batch.then((parts) => parts.get(number)!);
      // Who takes this part sees the failure; until then it is not unhandled.
      part.catch(() => undefined);
      this.#ready.set(number, part);
    }
    return this.#ready.get(partNumber)!;
  }

  async #presign(numbers: number[]): Promise<Map<number, PresignedPart>> {
    const checksums: PartChecksum[] = [];
    for (const partNumber of numbers) {
      const checksum = await partChecksum(this.#plan.checksumAlgorithm, this.#plan.slice(this.#file, partNumber));
      if (checksum !== undefined) checksums.push({ partNumber, checksum });
    }
    const parts = await this.#gateway.presign(rangesOf(numbers), checksums, this.#signal);
    return new Map(parts.map((part) => [part.partNumber, part]));
  }
}
