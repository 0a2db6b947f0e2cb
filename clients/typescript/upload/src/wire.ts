/** The messages of the gateway, as JSON. The contract is proto/partway/v1; 64-bit numbers are strings. */

export type UploadState =
  | "UPLOAD_STATE_INITIATING"
  | "UPLOAD_STATE_ACTIVE"
  | "UPLOAD_STATE_COMPLETING"
  | "UPLOAD_STATE_COMPLETED"
  | "UPLOAD_STATE_ABORTING"
  | "UPLOAD_STATE_ABORTED";

export interface StoredObject {
  bucket: string;
  key: string;
  uri: string;
  etag: string;
  versionId: string;
  sizeBytes: string;
  checksum: string;
  checksumAlgorithm: string;
}

export interface UploadResource {
  id: string;
  state: UploadState;
  policy: string;
  object: StoredObject;
  sizeBytes: string;
  partSizeBytes: string;
  partCount: number;
  lastPartSizeBytes: string;
  contentType: string;
  checksumAlgorithm: string;
  createTime: string;
  expireTime: string;
  abortReason: string;
  retryDelay?: string;
}

export interface PartRange {
  first: number;
  last: number;
}

export interface Progress {
  partsStored: number;
  bytesStored: string;
  missing: PartRange[];
}

export interface StatusResponse {
  upload: UploadResource;
  progress?: Progress;
}

export interface PresignedPart {
  partNumber: number;
  method: string;
  /** A bearer secret: anyone who has it can write this part. Never log it. */
  url: string;
  headers: Record<string, string>;
  offsetBytes: string;
  sizeBytes: string;
}

/** Presigned parts of a multipart Upload; bytes are base64. The signatures are secrets, too. */
export interface CompactParts {
  ranges: PartRange[];
  signatures: string;
  urlPrefix: string;
  urlInfix: string;
  checksumHeader: string;
  partSizeBytes: string;
  sizeBytes: string;
}

export interface SentPart {
  partNumber: number;
  sizeBytes: string;
}

export interface ErrorDetail {
  "@type"?: string;
  reason?: string;
  metadata?: Record<string, string>;
  retryDelay?: string;
}

export interface RpcStatus {
  code: number;
  message?: string;
  details?: ErrorDetail[];
}
