"""A fake service on 127.0.0.1: gRPC for callers, HTTP for the parts they send to storage."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import grpc
from google.protobuf.message import Message
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as service_grpc

from partway_client.testing.fake_rpcs import FakeRpcs, Recorder
from partway_client.testing.fake_uploads import FakeObject, FakeUploads, Refusal, etag_of

MIB = 1024 * 1024

_THREADS = 64
"""Each Watch has one for as long as it goes on."""


class FakeService:
    """A service in memory, as a context manager. `address` is HOST:PORT.

    Files are sent in parts of `part_size_bytes`, unless a caller asks for another size. With
    `via_service`, parts may also go through the service. `now` returns seconds since the epoch.
    """

    def __init__(
        self,
        *,
        part_size_bytes: int = 5 * MIB,
        via_service: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.address = ""
        self._uploads = FakeUploads(part_size_bytes, now)
        self._recorder = Recorder()
        self._storage = _Storage(self._uploads)
        self._rpcs = FakeRpcs(
            uploads=self._uploads,
            recorder=self._recorder,
            url_of=self._storage.url_of,
            via_service=via_service,
        )
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        self._storage.start()
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, "partway-fake"))
        service_grpc.add_UploadServiceServicer_to_server(self._rpcs, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
        self._storage.stop()

    @property
    def objects(self) -> Mapping[str, FakeObject]:
        """The completed objects, by key."""
        with self._uploads.changed:
            return dict(self._uploads.objects)

    @property
    def calls(self) -> Sequence[tuple[str, Message]]:
        """The calls so far: the name of each RPC, and its request."""
        with self._uploads.changed:
            return list(self._recorder.calls)

    def fail(
        self, rpc: str, code: str, reason: str, message: str = "as arranged", *, times: int = 1
    ) -> None:
        """Refuse the next calls of an RPC with a gRPC code and a reason, both by name.

        docs/reference/errors.md lists the reasons: `fail("Complete", "UNAVAILABLE",
        "STORAGE_UNAVAILABLE")`.
        """
        with self._uploads.changed:
            waiting = self._recorder.refusals.setdefault(rpc, deque())
            waiting.extend(Refusal(code, reason, message) for _ in range(times))

    def fail_part(self, status: int, code: str = "", *, times: int = 1) -> None:
        """Answer the next parts that are sent to storage with an HTTP status and an S3 code."""
        with self._uploads.changed:
            self._storage.failures.extend([(status, code)] * times)

    def expire(self, upload_id: str) -> None:
        """End an upload as its deadline does."""
        with self._uploads.changed:
            self._uploads.abort(upload_id, pb.ABORT_REASON_EXPIRED)
            self._uploads.changed.notify_all()


class _Storage:
    """Takes the parts that callers send straight to storage."""

    def __init__(self, uploads: FakeUploads) -> None:
        self.failures: deque[tuple[int, str]] = deque()
        self._uploads = uploads
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def url_of(self, upload_id: str, number: int) -> str:
        assert self._server is not None
        port = self._server.server_port
        return f"http://127.0.0.1:{port}/{upload_id}/{number}?X-Amz-Signature=fake"

    def start(self) -> None:
        storage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, code, etag = storage.put(self.path, body)
                text = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                if etag:
                    self.send_header("etag", f'"{etag}"')
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def put(self, path: str, body: bytes) -> tuple[int, str, str]:
        """Return the status, the S3 code and the entity tag of the answer."""
        upload_id, _, number = path.partition("?")[0].strip("/").partition("/")
        with self._uploads.changed:
            if self.failures:
                return *self.failures.popleft(), ""
            try:
                upload = self._uploads.active(upload_id)
                self._uploads.put(upload, int(number), body)
            except Refusal as refusal:
                gone = refusal.code != "INVALID_ARGUMENT"
                return (404, "NoSuchUpload", "") if gone else (403, "SignatureDoesNotMatch", "")
            self._uploads.changed.notify_all()
        return 200, "", etag_of(body)
