// A whole backend: users log in, upload straight to storage, and each upload is processed once.
//
//     WEBHOOK_SECRET=whsec_... PARTWAY_SERVER=127.0.0.1:50051 npm run backend -- 8000
//
// The service calls POST /webhooks/partway when an object is in storage. That turns the record to
// `uploaded` and queues a task, in one transaction; a worker turns it to `processed`. The service
// believes this backend who its user is: run it with PARTWAY_IDENTITY=metadata.
import { createHash, randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto'
import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import express, { type NextFunction, type Request, type Response } from 'express'
import sqlite from 'node-sqlite3-wasm'
import { Webhook } from 'standardwebhooks'
import { UploadService } from './gen/partway/v1/upload_service_pb.js'

const TENANT = 'shop'
const TOKEN_SECONDS = 3600n
const STATES: Record<string, string> = {
  'upload.completed': 'uploaded',
  'upload.aborted': 'failed',
  'upload.expired': 'failed',
  'upload.failed': 'failed',
}

const db = new sqlite.Database(process.env.DATABASE ?? 'backend.db')
db.exec(`
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, salt TEXT, password TEXT);
CREATE TABLE IF NOT EXISTS logins (token TEXT PRIMARY KEY, user TEXT);
CREATE TABLE IF NOT EXISTS uploads
  (id TEXT PRIMARY KEY, user TEXT, file_name TEXT, object_key TEXT UNIQUE, state TEXT);
CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tasks (upload TEXT PRIMARY KEY);`)

// Use https outside a test.
const transport = createGrpcTransport({ baseUrl: `http://${process.env.PARTWAY_SERVER}` })
const partway = createClient(UploadService, transport)
const webhook = new Webhook(process.env.WEBHOOK_SECRET ?? '')
const app = express()

// Before the parser of JSON: the signature is of the body as received.
app.post('/webhooks/partway', express.raw({ type: '*/*', limit: '1mb' }), (request, response) => {
  let event: { id: string; type: string; data: { key: string } }
  try {
    event = webhook.verify(request.body, request.headers as Record<string, string>) as typeof event
  } catch {
    response.status(401).json({ detail: 'the signature does not match' })
    return
  }
  const state = STATES[event.type]
  if (state) recordEvent(event.id, event.data.key, state)
  response.status(204).end()
})

app.use(express.json())

app.post('/users', (request, response) => {
  const { name, password } = request.body
  const salt = randomBytes(16).toString('hex')
  const { changes } = db.run('INSERT OR IGNORE INTO users VALUES (?, ?, ?)', [name, salt, hashed(password, salt)])
  response.status(changes ? 201 : 409).end()
})

app.post('/login', (request, response) => {
  const { name, password } = request.body
  const user = db.get('SELECT salt, password FROM users WHERE name = ?', [name])
  if (!user || !equal(hashed(password, String(user.salt)), String(user.password))) {
    response.status(401).json({ detail: 'wrong name or password' })
    return
  }
  const token = randomBytes(32).toString('base64url')
  db.run('INSERT INTO logins VALUES (?, ?)', [digest(token), name])
  response.json({ token })
})

// From here on, only for those who are logged in.
app.use((request: Request, response: Response, next: NextFunction) => {
  const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
  const login = db.get('SELECT user FROM logins WHERE token = ?', [digest(token)])
  if (!login) {
    response.status(401).json({ detail: 'log in first' })
    return
  }
  response.locals.user = login.user
  next()
})

// Opens an Upload for the user; the page sends the file with its id and token alone.
app.post('/uploads', async (request, response) => {
  const { file_name: fileName, size_bytes: size } = request.body
  const id = randomUUID()
  const file = { fileName, sizeBytes: BigInt(size), requestId: id }
  const user = String(response.locals.user)
  try {
    const opened = await partway.initialize(
      { ...file, uploadToken: { lifetime: { seconds: TOKEN_SECONDS } } },
      { headers: { 'partway-tenant': TENANT, 'partway-subject': user }, timeoutMs: 10_000 },
    )
    const key = opened.upload!.object!.key
    db.run("INSERT INTO uploads VALUES (?, ?, ?, ?, 'pending')", [id, user, fileName, key])
    response.status(201).json({ id, upload_id: opened.upload!.id, token: opened.uploadToken!.token })
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error)
    response.status(code === Code.InvalidArgument ? 422 : 503).json({ detail: rawMessage })
  }
})

app.get('/uploads/:id', (request, response) => {
  const found = db.get('SELECT id, file_name, state FROM uploads WHERE id = ? AND user = ?', [
    request.params.id,
    response.locals.user,
  ])
  response.status(found ? 200 : 404).json(found ?? { detail: 'no such upload' })
})

// Records an event once, however often it comes.
function recordEvent(event: string, key: string, state: string): void {
  transaction(() => {
    if (!db.run('INSERT OR IGNORE INTO events VALUES (?)', [event]).changes) return
    db.run("UPDATE uploads SET state = ? WHERE object_key = ? AND state = 'pending'", [state, key])
    if (state === 'uploaded') {
      db.run('INSERT OR IGNORE INTO tasks SELECT id FROM uploads WHERE object_key = ?', [key])
    }
  })
  setImmediate(work)
}

// Processes what is queued. A task that was cut short is done again.
function work(): void {
  for (const { upload } of db.all('SELECT upload FROM tasks') as { upload: string }[]) {
    // Here a real backend makes a thumbnail, scans, transcodes.
    transaction(() => {
      db.run("UPDATE uploads SET state = 'processed' WHERE id = ?", [upload])
      db.run('DELETE FROM tasks WHERE upload = ?', [upload])
    })
  }
}

function transaction(body: () => void): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    body()
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

function hashed(password: string, salt: string): string {
  return scryptSync(password, salt, 32).toString('hex')
}

function equal(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

work()
const server = app.listen(Number(process.argv[2] ?? 8000), '127.0.0.1')
process.on('SIGTERM', () => {
  server.close(() => db.close())
  server.closeAllConnections()
})
