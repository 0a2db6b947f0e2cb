/** Errors of an upload. None of them holds a URL or a token. */

import type { ErrorDetail, RpcStatus } from "./wire.js";

/** What the client itself reports, beside the reasons of the service (`ErrorReason` without its prefix). */
export type ClientReason =
  | "ABORTED"
  | "CHECKSUM_UNSUPPORTED"
  | "FILE_CHANGED"
  | "GATEWAY_UNREACHABLE"
  | "INVALID_RESPONSE"
  | "STORAGE_REFUSED_PART"
  | "STORAGE_UNREACHABLE"
  | "UPLOAD_ABORTED"
  | "UPLOAD_UNFINISHED";

/** Why an upload failed. Branch on `reason`; `message` is for people. */
export class UploadError extends Error {
  /** A reason of the service such as "UPLOAD_TOKEN_EXPIRED", or a ClientReason; "" if an answer had none. */
  readonly reason: string;
  /** The HTTP status of the answer; 0 without one. */
  readonly status: number;
  /** What the service says about the reason, as `ErrorReason` documents it. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long the service asks to wait before the call is repeated, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;

  constructor(
    reason: ClientReason | (string & {}),
    message: string,
    details: { status?: number; metadata?: Record<string, string>; retryAfterMs?: number; retryable?: boolean } = {},
  ) {
    super(message);
    this.name = "UploadError";
    this.reason = reason;
    this.status = details.status ?? 0;
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
    this.retryable = details.retryable ?? false;
  }
}

/** A request that got no answer. Its cause is left out: browsers put the URL there. */
export class NoResponseError extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = "NoResponseError";
  }
}

const RETRYABLE_STATUSES = new Set([408, 429, 502, 503, 504]);
/** CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE: every call may be repeated. */
const RETRYABLE_CODES = new Set([1, 4, 8, 14]);
/** ABORTED has a reason that says whether the call or the whole upload must be repeated. */
const RETRYABLE_REASONS = new Set(["UPLOAD_BUSY", "PART_CHANGED", "PART_TOO_SLOW"]);
/** Some limits wait for midnight; a wait longer than this is an error. */
const LONGEST_QUOTA_WAIT_MS = 600_000;

/** Return the error that an HTTP answer of the gateway stands for. */
export function errorOfAnswer(status: number, body: string): UploadError {
  const parsed = parseStatus(body);
  if (parsed === undefined) {
    return new UploadError("", `the gateway answers ${status}`, { status, retryable: RETRYABLE_STATUSES.has(status) });
  }
  const info = detailOf(parsed, "google.rpc.ErrorInfo");
  const reason = (info?.reason ?? "").replace(/^ERROR_REASON_/, "");
  const retryAfterMs = milliseconds(detailOf(parsed, "google.rpc.RetryInfo")?.retryDelay);
  const retryable =
    reason === "QUOTA_EXCEEDED"
      ? retryAfterMs !== undefined && retryAfterMs <= LONGEST_QUOTA_WAIT_MS
      : RETRYABLE_CODES.has(parsed.code) || RETRYABLE_REASONS.has(reason);
  return new UploadError(reason, parsed.message || `the gateway answers ${status}`, {
    status,
    retryable,
    metadata: info?.metadata ?? {},
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Return a duration of protobuf's JSON, such as "1.500s", in milliseconds. */
export function milliseconds(duration: string | undefined): number | undefined {
  const seconds = duration?.endsWith("s") ? Number(duration.slice(0, -1)) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

function parseStatus(body: string): RpcStatus | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    const known = typeof parsed === "object" && parsed !== null && typeof (parsed as RpcStatus).code === "number";
    return known ? (parsed as RpcStatus) : undefined;
  } catch {
    // A proxy's own page, which says no more than its HTTP status.
    return undefined;
  }
}

function detailOf(status: RpcStatus, type: string): ErrorDetail | undefined {
  return status.details?.find((detail) => detail["@type"]?.endsWith(`/${type}`));
}
