/** A page's half with one version of Uppy: the version that the bundle was built with. */

import Partway from "@partway/uppy";
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";

import { initialize, renewToken } from "./backend.js";

declare const VERSION: number;

const target = document.createElement("div");
target.id = `uppy${VERSION}`;
document.body.append(target);

const uppy = new Uppy({ id: `uppy${VERSION}` });
uppy.use(Dashboard, { target, inline: true });
uppy.use(Partway, {
  getUpload: (file) => initialize({ name: file.name, size: file.size, type: file.type }),
  renewToken,
});

const keys: Record<string, string> = {};
const errors: string[] = [];
uppy.on("upload-success", (file, response) => {
  const { upload } = response.body as unknown as { upload: { object: { key: string } } };
  if (file?.name) keys[file.name] = upload.object.key;
});
uppy.on("upload-error", (_file, error) => errors.push(error.message));
Object.assign(window, { [`uppy${VERSION}`]: { uppy, keys, errors } });
