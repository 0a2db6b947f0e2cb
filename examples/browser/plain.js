// A page without any library but @partway/upload: choose, pause, cancel, resume after a reload.

import { findUpload, openResumeStore, reopenFile, Upload } from "@partway/upload";
import { initialize, renewToken } from "./backend.js";

const store = await openResumeStore();
const element = (id) => document.getElementById(id);

element("choose").onclick = async () => {
  // Where the browser has file handles, a reload does not ask for the file again.
  if (!("showOpenFilePicker" in window)) return element("file").click();
  const [handle] = await showOpenFilePicker().catch(() => []);
  if (handle) await send(await handle.getFile(), handle);
};
element("file").onchange = () => send(element("file").files[0]);

for (const record of await store.list()) {
  const button = document.createElement("button");
  button.textContent = `Resume ${record.file.name}`;
  button.onclick = async () => {
    const file = await reopenFile(record);
    if (file) await send(file, record.handle);
    else element("file").click();
  };
  element("unfinished").append(button);
}

async function send(file, handle) {
  element("unfinished").replaceChildren();
  // An upload of the same file that was interrupted goes on where it was.
  const { gateway, uploadId, token } = (await findUpload(store, file)) ?? (await initialize(file));
  const upload = new Upload(file, {
    gateway,
    uploadId,
    token,
    handle,
    resumeStore: store,
    onTokenExpired: () => renewToken(uploadId),
    onProgress: ({ bytesSent, bytesTotal }) => {
      element("progress").value = bytesTotal ? bytesSent / bytesTotal : 1;
      element("figures").textContent = `${megabytes(bytesSent)} of ${megabytes(bytesTotal)} MB`;
    },
    onPhase: (phase) => {
      element("phase").textContent = phase;
      element("pause").textContent = phase === "paused" ? "Resume" : "Pause";
      for (const id of ["pause", "cancel"]) element(id).disabled = !["uploading", "paused"].includes(phase);
    },
  });
  element("pause").onclick = () => (upload.phase === "paused" ? upload.resume() : upload.pause());
  element("cancel").onclick = () => upload.abort().catch((error) => (element("phase").textContent = error.message));
  try {
    element("phase").textContent = `stored as ${(await upload.start()).object.uri}`;
  } catch (error) {
    element("phase").textContent = error.reason === "ABORTED" ? "cancelled" : error.message;
  }
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
