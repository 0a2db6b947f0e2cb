"""A whole backend: users log in, upload straight to storage, and each upload is processed once.

    WEBHOOK_SECRET=whsec_... PARTWAY_SERVER=127.0.0.1:50051 uvicorn backend:app --port 8000

The service calls `POST /webhooks/partway` when an object is in storage. That turns the record to
`uploaded` and queues a task, in one transaction; a worker turns it to `processed`. The service
believes this backend who its user is: run it with PARTWAY_IDENTITY=metadata.
"""

import hashlib
import os
import secrets
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated

import grpc
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from google.protobuf.duration_pb2 import Duration
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from pydantic import BaseModel
from standardwebhooks import Webhook, WebhookVerificationError

TENANT = "shop"
SCHEMA = """
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, salt BLOB, password BLOB);
CREATE TABLE IF NOT EXISTS logins (token BLOB PRIMARY KEY, user TEXT);
CREATE TABLE IF NOT EXISTS uploads
  (id TEXT PRIMARY KEY, user TEXT, file_name TEXT, object_key TEXT UNIQUE, state TEXT);
CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tasks (upload TEXT PRIMARY KEY);
"""
STATES = {
    "upload.completed": "uploaded",
    "upload.aborted": "failed",
    "upload.expired": "failed",
    "upload.failed": "failed",
}

queued = threading.Event()
stopping = threading.Event()
channel = grpc.insecure_channel(os.environ["PARTWAY_SERVER"])
partway = UploadServiceStub(channel)
webhook = Webhook(os.environ["WEBHOOK_SECRET"])


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction."""
    connection = sqlite3.connect(os.environ.get("DATABASE", "backend.db"), timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        with connection:
            yield connection
    finally:
        connection.close()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with database() as db:
        db.executescript(SCHEMA)
    worker = threading.Thread(target=work)
    worker.start()
    yield
    stopping.set()
    queued.set()
    worker.join()


app = FastAPI(lifespan=lifespan)


class Credentials(BaseModel):
    name: str
    password: str


class NewUpload(BaseModel):
    file_name: str
    size_bytes: int


@app.post("/users", status_code=201)
def register(wanted: Credentials) -> None:
    salt = secrets.token_bytes(16)
    try:
        with database() as db:
            db.execute(
                "INSERT INTO users VALUES (?, ?, ?)",
                (wanted.name, salt, hashed(wanted.password, salt)),
            )
    except sqlite3.IntegrityError:
        raise HTTPException(409, "the name is taken") from None


@app.post("/login")
def login(given: Credentials) -> dict[str, str]:
    with database() as db:
        user = db.execute("SELECT * FROM users WHERE name = ?", (given.name,)).fetchone()
        right = user and secrets.compare_digest(
            hashed(given.password, user["salt"]), user["password"]
        )
        if not right:
            raise HTTPException(401, "wrong name or password")
        token = secrets.token_urlsafe(32)
        db.execute("INSERT INTO logins VALUES (?, ?)", (digest(token), given.name))
    return {"token": token}


def current_user(authorization: Annotated[str, Header()] = "") -> str:
    with database() as db:
        token = digest(authorization.removeprefix("Bearer "))
        row = db.execute("SELECT user FROM logins WHERE token = ?", (token,)).fetchone()
    if row is None:
        raise HTTPException(401, "log in first")
    return str(row["user"])


User = Annotated[str, Depends(current_user)]


@app.post("/uploads", status_code=201)
def begin(wanted: NewUpload, user: User) -> dict[str, str]:
    """Open an Upload for the user; the page sends the file with its id and token alone."""
    record = str(uuid.uuid4())
    request = pb.InitializeRequest(
        file_name=wanted.file_name,
        size_bytes=wanted.size_bytes,
        request_id=record,
        upload_token=pb.UploadTokenSpec(lifetime=Duration(seconds=3600)),
    )
    metadata = (("partway-tenant", TENANT), ("partway-subject", user))
    try:
        opened = partway.Initialize(request, metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        code = 422 if error.code() == grpc.StatusCode.INVALID_ARGUMENT else 503
        raise HTTPException(code, error.details()) from None
    with database() as db:
        db.execute(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, 'pending')",
            (record, user, wanted.file_name, opened.upload.object.key),
        )
    return {"id": record, "upload_id": opened.upload.id, "token": opened.upload_token.token}


@app.get("/uploads/{record}")
def show(record: str, user: User) -> dict[str, str]:
    with database() as db:
        row = db.execute(
            "SELECT id, file_name, state FROM uploads WHERE id = ? AND user = ?", (record, user)
        ).fetchone()
    if row is None:
        raise HTTPException(404, "no such upload")
    return dict(row)


@app.post("/webhooks/partway", status_code=204)
async def receive(request: Request) -> Response:
    """Record an event once, however often it comes."""
    try:
        event = webhook.verify(await request.body(), dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(401, "the signature does not match") from None
    if state := STATES.get(event["type"]):
        record_event(event["id"], event["data"]["key"], state)
    return Response(status_code=204)


def record_event(event: str, key: str, state: str) -> None:
    with database() as db:
        if not db.execute("INSERT OR IGNORE INTO events VALUES (?)", (event,)).rowcount:
            return
        db.execute(
            "UPDATE uploads SET state = ? WHERE object_key = ? AND state = 'pending'", (state, key)
        )
        if state == "uploaded":
            db.execute(
                "INSERT OR IGNORE INTO tasks SELECT id FROM uploads WHERE object_key = ?", (key,)
            )
    queued.set()


def work() -> None:
    """Process what is queued, until the backend stops. A task that was cut short is done again."""
    while not stopping.is_set():
        queued.clear()
        with database() as db:
            tasks = [row["upload"] for row in db.execute("SELECT upload FROM tasks")]
        for upload in tasks:
            # Here a real backend makes a thumbnail, scans, transcodes.
            with database() as db:
                db.execute("UPDATE uploads SET state = 'processed' WHERE id = ?", (upload,))
                db.execute("DELETE FROM tasks WHERE upload = ?", (upload,))
        queued.wait()


def hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
