/** Remembers uploads over a reload of the page, in IndexedDB. It holds no token and no URL. */

/** What a file is known by. */
export interface FileIdentity {
  name: string;
  size: number;
  lastModified: number;
}

export interface ResumeRecord {
  uploadId: string;
  gateway: string;
  file: FileIdentity;
  /** Opens the file again without asking the user to choose it, where the browser has such handles. */
  handle?: FileSystemFileHandle;
}

export interface ResumeStore {
  save(record: ResumeRecord): Promise<void>;
  list(): Promise<ResumeRecord[]>;
  remove(uploadId: string): Promise<void>;
}

const TABLE = "uploads";

/** Open the store of this origin. */
export async function openResumeStore(name = "partway"): Promise<ResumeStore> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "uploadId" });
  const database = await answerOf(opening);
  const table = (mode: IDBTransactionMode) => database.transaction(TABLE, mode).objectStore(TABLE);
  return {
    save: async (record) => void (await answerOf(table("readwrite").put(record))),
    list: () => answerOf<ResumeRecord[]>(table("readonly").getAll()),
    remove: async (uploadId) => void (await answerOf(table("readwrite").delete(uploadId))),
  };
}

/** Return what a file is known by; a Blob without a name is known by its size. */
export function describeFile(file: Blob): FileIdentity {
  const { name = "", lastModified = 0 } = file as Partial<File>;
  return { name, size: file.size, lastModified };
}

/** Return whether the file is the one that the record was made for, as far as a page can see. */
export function isSameFile(record: ResumeRecord, file: Blob): boolean {
  const { name, size, lastModified } = describeFile(file);
  return record.file.name === name && record.file.size === size && record.file.lastModified === lastModified;
}

/** Return the record of a file that the user chose, if its upload was interrupted. */
export async function findUpload(store: ResumeStore, file: Blob): Promise<ResumeRecord | undefined> {
  return (await store.list()).find((record) => isSameFile(record, file));
}

/**
 * Return the file of a record by its handle; undefined if the user must choose it.
 *
 * The browser may ask the user for permission, and allows that only in answer to a click.
 */
export async function reopenFile(record: ResumeRecord): Promise<File | undefined> {
  const handle = record.handle as PermittedHandle | undefined;
  if (handle === undefined) return undefined;
  const permission = (await handle.requestPermission?.({ mode: "read" })) ?? "granted";
  if (permission !== "granted") return undefined;
  try {
    const file = await handle.getFile();
    return isSameFile(record, file) ? file : undefined;
  } catch {
    // The file is gone.
    return undefined;
  }
}

/** Not yet in TypeScript's types: https://wicg.github.io/file-system-access/#api-filesystemhandle */
type PermittedHandle = FileSystemFileHandle & {
  requestPermission?: (descriptor: { mode: "read" }) => Promise<PermissionState>;
};

function answerOf<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
