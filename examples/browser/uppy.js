// A page with Uppy's Dashboard: several files at once, pause, cancel, retry.

import { openResumeStore } from "@partway/upload";
import { Partway } from "@partway/uppy";
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import { initialize, renewToken } from "./backend.js";

import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";

const uppy = new Uppy()
  .use(Dashboard, { target: "#uppy", inline: true, width: "100%", note: "Files go straight to storage." })
  .use(Partway, { getUpload: initialize, renewToken, resumeStore: await openResumeStore("partway-uppy") });

uppy.on("upload-success", (file, { body }) => {
  const line = document.createElement("li");
  line.textContent = `${file.name}: stored as ${body.upload.object.uri}`;
  document.getElementById("stored").append(line);
});
