export { type ClientReason, UploadError } from "./errors.js";
export type { UploadProgress } from "./progress_meter.js";
export {
  type FileIdentity,
  findUpload,
  isSameFile,
  openResumeStore,
  type ResumeRecord,
  type ResumeStore,
  reopenFile,
} from "./resume_store.js";
export type { RouteName } from "./route.js";
export type { Runtime } from "./runtime.js";
export { Upload, type UploadOptions, type UploadPhase } from "./upload.js";
export type { StoredObject, UploadResource, UploadState } from "./wire.js";
