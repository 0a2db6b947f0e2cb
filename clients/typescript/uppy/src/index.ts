/** An Uppy uploader for Partway: each file goes straight to storage, in parts. */

import { findUpload, type ResumeStore, Upload, UploadError, type UploadOptions, type UploadResource } from "@partway/upload";
import { BasePlugin, type Body, type Meta, type PluginOpts, type Uppy, type UppyFile } from "@uppy/core";

/** What a backend returns for a file. */
export interface InitializedUpload {
  /** The address of the REST gateway. */
  gateway: string;
  uploadId: string;
  token: string;
}

export interface PartwayOptions<M extends Meta, B extends Body> extends PluginOpts {
  /** Has your backend initialize an Upload for a file. */
  getUpload: (file: UppyFile<M, B>) => Promise<InitializedUpload>;
  /** Has your backend make another token for an Upload. Without it an expired token is an error. */
  renewToken?: (uploadId: string) => Promise<string>;
  /** Remembers unfinished uploads: a file that is added again after a reload goes on. Needs renewToken. */
  resumeStore?: ResumeStore;
  /** How many files to send at a time; 3 by default. */
  limit?: number;
  /** More options of each upload, such as `parallel` or `viaService`. */
  upload?: Pick<UploadOptions, "parallel" | "viaService" | "giveUpAfterMs" | "runtime">;
}

/** Failures that no other try of the same Upload can change. */
const GONE = new Set(["UPLOAD_ABORTED", "UPLOAD_NOT_FOUND", "UPLOAD_CONFLICT", "OBJECT_EXISTS", "ABORTED"]);

export class Partway<M extends Meta, B extends Body> extends BasePlugin<PartwayOptions<M, B>, M, B> {
  /** Uploads by the id of their file. One that failed stays, for a retry. */
  readonly #uploads = new Map<string, Upload>();

  constructor(uppy: Uppy<M, B>, options: PartwayOptions<M, B>) {
    super(uppy, options);
    this.type = "uploader";
    this.id = options.id ?? "Partway";
  }

  override install(): void {
    this.#setResumable(true);
    this.uppy.addUploader(this.#uploadFiles);
    this.uppy.on("file-removed", this.#onRemoved);
    this.uppy.on("upload-pause", this.#onPause);
    this.uppy.on("pause-all", this.#onPauseAll);
    this.uppy.on("resume-all", this.#onResumeAll);
  }

  override uninstall(): void {
    this.#setResumable(false);
    this.uppy.removeUploader(this.#uploadFiles);
    this.uppy.off("file-removed", this.#onRemoved);
    this.uppy.off("upload-pause", this.#onPause);
    this.uppy.off("pause-all", this.#onPauseAll);
    this.uppy.off("resume-all", this.#onResumeAll);
  }

  #uploadFiles = async (fileIds: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(fileIds).filter((file) => !file.error && !file.progress.uploadComplete);
    this.uppy.emit("upload-start", files);
    const queue = files.values();
    const workers = Array.from({ length: Math.min(this.opts.limit ?? 3, files.length) }, async () => {
      for (const file of queue) await this.#uploadFile(file);
    });
    await Promise.all(workers);
  };

  async #uploadFile(file: UppyFile<M, B>): Promise<void> {
    try {
      const upload = this.#uploads.get(file.id) ?? (await this.#createUpload(file));
      const completion = this.#isHere(file.id) ? upload.start() : upload.abort();
      if (this.#isHere(file.id) && this.uppy.getFile(file.id).isPaused) upload.pause();
      const completed = await completion;
      if (completed !== undefined) this.#succeed(file, completed);
    } catch (error) {
      this.#fail(file, error instanceof Error ? error : new Error("the upload failed"));
    }
  }

  async #createUpload(file: UppyFile<M, B>): Promise<Upload> {
    // Uppy has no bytes of a file that it restored without them, or that is on another site.
    if (!(file.data instanceof Blob)) throw new Error("the file has no data on this page; choose it again");
    const { renewToken, resumeStore } = this.opts;
    const known = renewToken && resumeStore && (await findUpload(resumeStore, file.data));
    const initialized = known ?? (await this.opts.getUpload(file));
    const { gateway, uploadId } = initialized;
    const upload = new Upload(file.data, {
      ...this.opts.upload,
      gateway,
      uploadId,
      ...("token" in initialized ? { token: initialized.token } : {}),
      ...(renewToken ? { onTokenExpired: () => renewToken(uploadId) } : {}),
      ...(resumeStore ? { resumeStore } : {}),
      onProgress: ({ bytesSent }) => this.#progress(file.id, bytesSent),
    });
    this.#uploads.set(file.id, upload);
    return upload;
  }

  #progress(fileId: string, bytesUploaded: number): void {
    if (!this.#isHere(fileId)) return;
    const file = this.uppy.getFile(fileId);
    const uploadStarted = file.progress.uploadStarted ?? 0;
    this.uppy.emit("upload-progress", file, { uploadStarted, bytesUploaded, bytesTotal: file.size });
  }

  #succeed(file: UppyFile<M, B>, completed: UploadResource): void {
    this.#uploads.delete(file.id);
    if (!this.#isHere(file.id)) return;
    // The type of a body is the application's; ours is always the Upload.
    const body = { upload: completed } as unknown as B;
    this.uppy.emit("upload-success", this.uppy.getFile(file.id), { status: 200, body });
  }

  #fail(file: UppyFile<M, B>, error: Error): void {
    if (error instanceof UploadError && GONE.has(error.reason)) this.#uploads.delete(file.id);
    if (this.#isHere(file.id)) this.uppy.emit("upload-error", this.uppy.getFile(file.id), error);
  }

  #onRemoved = (file: UppyFile<M, B>): void => {
    const upload = this.#uploads.get(file.id);
    this.#uploads.delete(file.id);
    upload?.abort().catch((error: unknown) => this.uppy.log(`[Partway] not discarded: ${String(error)}`, "warning"));
  };

  #onPause = (file: UppyFile<M, B> | undefined, isPaused: boolean): void => {
    const upload = file && this.#uploads.get(file.id);
    if (isPaused) upload?.pause();
    else upload?.resume();
  };

  #onPauseAll = (): void => {
    for (const upload of this.#uploads.values()) upload.pause();
  };

  #onResumeAll = (): void => {
    for (const upload of this.#uploads.values()) upload.resume();
  };

  #isHere(fileId: string): boolean {
    return fileId in this.uppy.getState().files;
  }

  #setResumable(resumableUploads: boolean): void {
    const { capabilities } = this.uppy.getState();
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads } });
  }
}

export default Partway;
