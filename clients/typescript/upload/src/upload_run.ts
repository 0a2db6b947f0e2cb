/** One run of an upload: ask what is missing, send it, complete, wait for storage. */

import { milliseconds, UploadError } from "./errors.js";
import type { Gateway } from "./gateway.js";
import { PartReporter } from "./part_reporter.js";
import { sendParts } from "./part_transfer.js";
import { numbersOf, Plan } from "./plan.js";
import { ProgressMeter, type UploadProgress } from "./progress_meter.js";
import type { Retry } from "./retry.js";
import { Route, type RouteName } from "./route.js";
import type { Runtime } from "./runtime.js";
import type { StatusResponse, UploadResource } from "./wire.js";

export interface RunContext {
  file: Blob;
  gateway: Gateway;
  runtime: Runtime;
  /** Counts parts; the gateway has one of its own. */
  retry: Retry;
  signal: AbortSignal;
  parallel: number;
  viaService: boolean;
  onProgress: (progress: UploadProgress) => void;
  onRoute: (route: RouteName) => void;
  onCompleting: (completing: boolean) => void;
}

/** How often to send what Complete finds missing. */
const MOST_ROUNDS = 8;
const DEFAULT_POLL_MS = 1000;
const MOST_POLLS = 400;
/** Complete, repeated, takes over from a replica that ended while it was joining. */
const POLLS_PER_COMPLETE = 8;
const MISSING_REASONS = new Set(["PARTS_MISSING", "PARTS_MISMATCH"]);

export class UploadRun {
  readonly #context: RunContext;
  readonly #route: Route;

  constructor(context: RunContext) {
    this.#context = context;
    this.#route = new Route(context.runtime, context.viaService, context.onRoute);
  }

  /** Return the completed Upload. Rejects with UploadError, or the reason of the signal. */
  async toCompletion(): Promise<UploadResource> {
    const { gateway, signal, onCompleting } = this.#context;
    for (let round = 1; ; round++) {
      const status = await this.#settled(await gateway.status(signal, true));
      checkSize(status.upload, this.#context.file);
      if (status.upload.state === "UPLOAD_STATE_COMPLETED") return status.upload;
      checkActive(status.upload);
      onCompleting(false);
      await this.#send(status);
      onCompleting(true);
      const completed = await this.#complete(round);
      if (completed?.state === "UPLOAD_STATE_COMPLETED") return completed;
    }
  }

  async #send(status: StatusResponse): Promise<void> {
    const { file, signal, gateway, runtime, onProgress } = this.#context;
    const plan = new Plan(status.upload);
    const missing = numbersOf(status.progress?.missing ?? []);
    const missingBytes = missing.reduce((sum, number) => sum + plan.partSize(number), 0);
    const total = { bytes: plan.sizeBytes, parts: plan.partCount };
    const meter = new ProgressMeter(total, { bytes: missingBytes, parts: missing.length });
    const reporter = new PartReporter(gateway, runtime, signal);
    onProgress(meter.read());
    const transfer = sendParts(
      {
        ...this.#context,
        file,
        plan,
        route: this.#route,
        onSent: (partNumber, bytes) => {
          meter.moved(partNumber, bytes);
          onProgress(meter.read());
        },
        onStored: (partNumber) => {
          meter.stored(partNumber, plan.partSize(partNumber));
          reporter.add({ partNumber, sizeBytes: String(plan.partSize(partNumber)) });
          onProgress(meter.read());
        },
      },
      missing,
    );
    await transfer.finally(() => reporter.stop());
  }

  /** Complete the Upload; return undefined if parts must be sent again. */
  async #complete(round: number): Promise<UploadResource | undefined> {
    const { gateway, signal } = this.#context;
    try {
      const upload = await gateway.complete(signal);
      return (await this.#settled({ upload })).upload;
    } catch (error) {
      const again = error instanceof UploadError && MISSING_REASONS.has(error.reason) && round < MOST_ROUNDS;
      if (!again) throw error;
      return undefined;
    }
  }

  /** Wait while the service or storage is at work on the Upload. */
  async #settled(first: StatusResponse): Promise<StatusResponse> {
    const { gateway, runtime, signal, onCompleting } = this.#context;
    let status = first;
    for (let polls = 1; isBusy(status.upload); polls++) {
      onCompleting(status.upload.state === "UPLOAD_STATE_COMPLETING");
      await runtime.sleep(milliseconds(status.upload.retryDelay) ?? DEFAULT_POLL_MS, signal);
      if (polls > MOST_POLLS) throw new UploadError("UPLOAD_UNFINISHED", "storage is still joining the parts");
      const takeOver = polls % POLLS_PER_COMPLETE === 0 && status.upload.state === "UPLOAD_STATE_COMPLETING";
      status = takeOver ? { upload: await gateway.complete(signal) } : await gateway.status(signal, true);
    }
    return status;
  }
}

function isBusy(upload: UploadResource): boolean {
  return upload.state === "UPLOAD_STATE_INITIATING" || upload.state === "UPLOAD_STATE_COMPLETING";
}

function checkActive(upload: UploadResource): void {
  if (upload.state === "UPLOAD_STATE_ACTIVE") return;
  const why = upload.abortReason.replace(/^ABORT_REASON_/, "");
  const metadata = { abort_reason: upload.abortReason };
  throw new UploadError("UPLOAD_ABORTED", `the Upload was aborted: ${why}; initialize another`, { metadata });
}

function checkSize(upload: UploadResource, file: Blob): void {
  if (file.size === Number(upload.sizeBytes)) return;
  throw new UploadError("FILE_CHANGED", `the file has ${file.size} bytes, and the Upload ${upload.sizeBytes}`);
}
