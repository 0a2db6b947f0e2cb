/** Puts the client where tests can call it, and notes what it reports. */

import * as partway from "@partway/upload";

import { type Initialized, renewToken } from "./backend.js";

interface Started {
  upload: partway.Upload;
  outcome: Promise<string>;
  phases: string[];
  routes: string[];
  renewals: number;
  bytesSent: number;
}

type Options = Partial<Omit<partway.UploadOptions, "resumeStore">> & { remember?: boolean };

async function start(file: Blob, initialized: Initialized, options: Options = {}): Promise<Started> {
  const { remember, ...given } = options;
  const started: Started = { phases: [], routes: [], renewals: 0, bytesSent: 0 } as unknown as Started;
  started.upload = new partway.Upload(file, {
    ...initialized,
    ...given,
    ...(remember ? { resumeStore: await partway.openResumeStore() } : {}),
    onTokenExpired: () => {
      started.renewals++;
      return renewToken(initialized.uploadId);
    },
    onPhase: (phase) => started.phases.push(phase),
    onRoute: (route) => started.routes.push(route),
    onProgress: ({ bytesSent }) => {
      started.bytesSent = bytesSent;
    },
  });
  started.outcome = started.upload.start().then(
    ({ object }) => object.key,
    (error: Error) => `${error.name} ${(error as partway.UploadError).reason}: ${error.message}`,
  );
  return started;
}

/** Initialize an Upload as a backend would, with parts as small as they may be. */
async function initialize(rest: string, file: File, more: object = {}): Promise<Initialized> {
  const small = { partSizeBytes: 5 * 1024 * 1024, uploadToken: {} };
  const response = await fetch(`${rest}/v1/uploads`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ fileName: file.name, sizeBytes: file.size, ...small, ...more }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return { gateway: rest, uploadId: answer.upload.id, token: answer.uploadToken.token };
}

/** Return a file of random bytes, and their SHA-256 in hexadecimal. */
async function randomFile(name: string, megabytes: number): Promise<{ file: File; digest: string }> {
  const bytes = new Uint8Array(megabytes * 1024 * 1024);
  // The most that one call fills.
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return { file: new File([bytes], name), digest: await digestOf(bytes) };
}

async function digestOf(bytes: BufferSource): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const harness = { ...partway, initialize, start, randomFile, renewToken };
export type Harness = typeof harness;
Object.assign(window, { harness });
