import assert from "node:assert/strict";
import { once } from "node:events";
import { openAsBlob } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

import { NoResponseError } from "../src/errors.js";
import { platformSendBody } from "../src/http_put.js";

interface Received {
  method: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Run a server that answers with the status given, or never, and notes what it received. */
async function storage(t: TestContext, status: number | "never"): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    received.push({ method: request.method ?? "", headers: request.headers, body });
    if (status !== "never") response.writeHead(status).end("<Code>SlowDown</Code>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/key?secret`, received };
}

function request(url: string, body: Blob, signal = new AbortController().signal) {
  const sent: number[] = [];
  return { method: "PUT", url, headers: { "x-signed": "yes" }, body, signal, sent, onSent: (n: number) => void sent.push(n) };
}

test("Node.js sends a slice of a file with its length and no type", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "partway-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "file"), Buffer.from("0123456789"));
  const file = await openAsBlob(join(folder, "file"), { type: "text/plain" });
  const { url, received } = await storage(t, 200);
  const put = request(url, file.slice(2, 6));
  assert.equal((await platformSendBody()(put)).status, 200);
  assert.deepEqual(put.sent, [4]);
  const [{ method, headers, body } = assert.fail("nothing was received")] = received;
  assert.deepEqual([method, body.toString(), headers["content-length"], headers["x-signed"]], ["PUT", "2345", "4", "yes"]);
  assert.equal(headers["content-type"], undefined);
  assert.equal(headers["transfer-encoding"], undefined);
});

test("an empty part has a length", async (t) => {
  const { url, received } = await storage(t, 200);
  await platformSendBody()(request(url, new Blob([])));
  assert.equal(received[0]?.headers["content-length"], "0");
});

test("an error of storage is an answer, and nothing counts as sent", async (t) => {
  const { url } = await storage(t, 503);
  const put = request(url, new Blob(["abc"]));
  assert.deepEqual(await platformSendBody()(put), { status: 503, text: "<Code>SlowDown</Code>" });
  assert.deepEqual(put.sent, []);
});

test("no connection is a NoResponseError without the URL", async () => {
  const put = request("http://127.0.0.1:1/key?secret", new Blob(["abc"]));
  await assert.rejects(platformSendBody()(put), (error) => {
    assert.ok(error instanceof NoResponseError);
    assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /secret/);
    return true;
  });
});

test("an abort rejects with its own reason", async (t) => {
  const { url } = await storage(t, "never");
  const controller = new AbortController();
  const sending = platformSendBody()(request(url, new Blob(["abc"]), controller.signal));
  controller.abort(new Error("enough"));
  await assert.rejects(sending, /enough/);
});
