/** Counts the bytes of an upload. */

export interface UploadProgress {
  /** Bytes in storage or on their way. It goes back if a part must be sent again. */
  bytesSent: number;
  bytesTotal: number;
  partsStored: number;
  partCount: number;
}

export class ProgressMeter {
  readonly #bytesTotal: number;
  readonly #partCount: number;
  readonly #inFlight = new Map<number, number>();
  #bytesStored = 0;
  #partsStored = 0;

  constructor(total: { bytes: number; parts: number }, missing: { bytes: number; parts: number }) {
    this.#bytesTotal = total.bytes;
    this.#partCount = total.parts;
    this.#bytesStored = total.bytes - missing.bytes;
    this.#partsStored = total.parts - missing.parts;
  }

  moved(partNumber: number, bytes: number): void {
    this.#inFlight.set(partNumber, bytes);
  }

  stored(partNumber: number, bytes: number): void {
    this.#inFlight.delete(partNumber);
    this.#bytesStored += bytes;
    this.#partsStored++;
  }

  read(): UploadProgress {
    let bytesSent = this.#bytesStored;
    for (const bytes of this.#inFlight.values()) bytesSent += bytes;
    const { partsStored, partCount } = { partsStored: this.#partsStored, partCount: this.#partCount };
    return { bytesSent, bytesTotal: this.#bytesTotal, partsStored, partCount };
  }
}
