// Calls the service until standard input ends, with the service config that it publishes.
//
//     node call.mjs ADDRESS FOLDER_OF_PROTOS SERVICE_CONFIG
//
// Prints how many calls there were, and which failed, as JSON.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, protos, config] = process.argv.slice(2);
const definition = loader.loadSync("partway/v1/upload_service.proto", { includeDirs: [protos], longs: String });
const { UploadService } = grpc.loadPackageDefinition(definition).partway.v1;
const client = new UploadService(address, grpc.credentials.createInsecure(), {
  "grpc.service_config": readFileSync(config, "utf-8"),
});

let stopped = false;
process.stdin.resume().on("end", () => {
  stopped = true;
});

const call = (name, request) =>
  promisify(client[name].bind(client))(request, { deadline: Date.now() + 60_000 });

let calls = 0;
const failed = [];
while (!stopped) {
  try {
    const { upload } = await call("Initialize", { sizeBytes: 5, requestId: randomUUID() });
    await call("Status", { uploadId: upload.id });
    await call("Abort", { uploadId: upload.id });
  } catch (error) {
    failed.push(`${grpc.status[error.code]}: ${error.details}`);
  }
  calls += 3;
}
client.close();
console.log(JSON.stringify({ calls, failed }));
