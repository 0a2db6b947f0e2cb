// Sends a file, part by part and several at once. Stop it and run it again: it resumes.
//
//     npm run upload -- --server 127.0.0.1:50051 film.mp4
//
// With --upload-id it sends the file of an Upload that a backend opened. PARTWAY_AUTHORIZATION says
// who calls: "Partway TOKEN" with an upload token, or "Bearer TOKEN". In a browser, use
// @partway/upload.
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Code, ConnectError, createClient, type Client, type Interceptor } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt'
import { ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.js'
import { UploadState, type PresignedPart, type StoredObject } from './gen/partway/v1/upload_pb.js'
import { StatusView, UploadService } from './gen/partway/v1/upload_service_pb.js'

const PARALLEL = 8
const WINDOW = 32 // Parts presigned at a time, so that no URL expires unused.
const ATTEMPTS = 5

class Uploader {
  constructor(private readonly partway: Client<typeof UploadService>) {}

  async upload(path: string, uploadId?: string): Promise<StoredObject | undefined> {
    const file = await open(path)
    try {
      const id = uploadId ?? (await this.find(path, file))
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        await this.sendMissing(file, id)
        const object = await this.complete(id)
        if (object) return object
      }
    } finally {
      await file.close()
    }
    throw new Error(`not complete after ${ATTEMPTS} attempts`)
  }

  // Returns the id of the Upload of this file: one that was begun before, or else a new one.
  private async find(path: string, file: FileHandle): Promise<string> {
    const { size, ino, mtimeMs } = await file.stat()
    const fingerprint = `typescript ${ino} ${mtimeMs} ${size}`
    const begun = await this.partway.listUploads({ fingerprint, state: UploadState.ACTIVE })
    if (begun.uploads[0]) {
      console.error('resuming')
      return begun.uploads[0].id
    }
    const fileName = basename(path)
    const opened = await this.partway.initialize({ fileName, sizeBytes: BigInt(size), fingerprint })
    return opened.upload!.id
  }

  // Sends what storage does not hold, a window of parts at a time.
  private async sendMissing(file: FileHandle, uploadId: string): Promise<void> {
    const { progress } = await this.partway.status({ uploadId, view: StatusView.PROGRESS })
    for (const { first, last } of progress?.missing ?? []) {
      for (let n = first; n <= last; n += WINDOW) {
        const ranges = [{ first: n, last: Math.min(n + WINDOW - 1, last) }]
        const { parts } = await this.partway.batchPresignParts({ uploadId, ranges })
        const queue = parts.values()
        const senders = Array.from({ length: PARALLEL }, async () => {
          for (const part of queue) await send(file, part)
        })
        await Promise.all(senders)
      }
    }
  }

  // Returns the object, or nothing if another round is needed.
  private async complete(uploadId: string): Promise<StoredObject | undefined> {
    try {
      const { upload } = await this.partway.complete({ uploadId })
      if (upload?.state === UploadState.COMPLETED) return upload.object
      await sleep(upload?.retryDelay ? durationMs(upload.retryDelay) : 100)
    } catch (error) {
      if (['ERROR_REASON_PARTS_MISSING', 'ERROR_REASON_PARTS_MISMATCH'].includes(reason(error))) return
      const [retry] = ConnectError.from(error).findDetails(RetryInfoSchema)
      if (!retry?.retryDelay) throw error
      await sleep(durationMs(retry.retryDelay))
    }
    return undefined
  }
}

// Sends one part, and again if that fails. One whose URL expired waits for the next round.
async function send(file: FileHandle, part: PresignedPart): Promise<void> {
  const body = Buffer.alloc(Number(part.sizeBytes))
  await file.read(body, 0, body.length, Number(part.offsetBytes))
  let problem: unknown
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (part.expireTime && Date.now() > timestampMs(part.expireTime)) return
    try {
      const answer = await fetch(part.url, { method: part.method, headers: part.headers, body })
      await answer.arrayBuffer()
      if (answer.ok) return
      problem = new Error(`storage answers ${answer.status}`)
    } catch (error) {
      problem = error // It has no URL, which is a secret.
    }
    await sleep(100 * 2 ** attempt)
  }
  throw problem
}

// Returns why a call failed: branch on this, not on messages.
function reason(error: unknown): string {
  const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema)
  return info?.reason ?? ''
}

// Repeats calls that the service could not take: every call here is safe to repeat.
const retry: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request)
    } catch (error) {
      if (attempt === 4 || ConnectError.from(error).code !== Code.Unavailable) throw error
      await sleep(Math.random() * Math.min(2000, 100 * 2 ** attempt))
    }
  }
}

const authorize: Interceptor = (next) => (request) => {
  const authorization = process.env.PARTWAY_AUTHORIZATION
  if (authorization) request.header.set('authorization', authorization)
  return next(request)
}

const { values, positionals } = parseArgs({
  options: { server: { type: 'string', default: '127.0.0.1:50051' }, 'upload-id': { type: 'string' } },
  allowPositionals: true,
})
// Use https outside a test.
const transport = createGrpcTransport({ baseUrl: `http://${values.server}`, interceptors: [retry, authorize] })
const [path] = positionals
if (!path) throw new Error('name a file')
try {
  const object = await new Uploader(createClient(UploadService, transport)).upload(path, values['upload-id'])
  console.log(object?.uri)
} catch (error) {
  console.error(reason(error), error instanceof Error ? error.message : error)
  process.exitCode = 1
}
