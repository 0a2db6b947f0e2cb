"""Provides storage that answers as S3 does but discards the bytes of parts.

Run it in its own process, as `python -m bench.sink`; the first line that it prints is its port. It
keeps the sizes of parts and the metadata of objects, because the service reads both, and verifies
nothing. On Linux the kernel discards incoming bytes, so that the clients are the limit and not the
sink.
"""

import socket
import sys
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_READ_BYTES = 1024 * 1024
_BUFFERED_BYTES = 8192
# https://man7.org/linux/man-pages/man7/tcp.7.html: received bytes are discarded, not copied.
_DISCARD = socket.MSG_TRUNC if sys.platform == "linux" else 0
_META = "x-amz-meta-"
_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'


@dataclass
class Stored:
    """A multipart upload, and the object that it becomes."""

    metadata: dict[str, str]
    parts: dict[int, int] = field(default_factory=dict)


class Sink(ThreadingHTTPServer):
    """One in-memory bucket, which answers to any name."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.uploads: dict[str, Stored] = {}
        self.storage: dict[str, Stored] = {}


class Handler(BaseHTTPRequestHandler):
    """One connection. Each operation returns a status, headers and a body."""

    server: Sink
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = _BUFFERED_BYTES

    def setup(self) -> None:
        super().setup()
        self._room = bytearray(_READ_BYTES)

    def do_PUT(self) -> None:
        size = self._size()
        self._discard(size)
        query = self._query()
        if "uploadId" in query:
            self.server.uploads[query["uploadId"]].parts[int(query["partNumber"])] = size
        else:
            self.server.storage[self._key()] = Stored(self._metadata(), {1: size})
        self._answer(200, {"ETag": _ETAG})

    def do_POST(self) -> None:
        self._discard(self._size())
        upload_id = self._query().get("uploadId")
        if upload_id is None:
            upload_id = uuid.uuid4().hex
            self.server.uploads[upload_id] = Stored(self._metadata())
            self._answer(200, body=_xml("InitiateMultipartUpload", UploadId=upload_id))
        else:
            self.server.storage[self._key()] = self.server.uploads.pop(upload_id)
            self._answer(200, body=_xml("CompleteMultipartUpload", ETag=_ETAG))

    def do_GET(self) -> None:
        upload = self.server.uploads.get(self._query().get("uploadId", ""))
        if upload is None:
            self._answer(404)
            return
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><Size>{size}</Size><ETag>{_ETAG}</ETag>"
            "<LastModified>2026-11-21T00:00:00.000Z</LastModified></Part>"
            for number, size in sorted(upload.parts.items())
        )
        self._answer(200, body=_xml("ListParts", IsTruncated="false", more=parts))

    def do_HEAD(self) -> None:
        if "/" not in self._key().strip("/"):
            self._answer(200)  # The bucket.
        elif (found := self.server.storage.get(self._key())) is None:
            self._answer(404)
        else:
            size = str(sum(found.parts.values()))
            self._answer(200, {**found.metadata, "ETag": _ETAG, "Content-Length": size})

    def do_DELETE(self) -> None:
        self.server.storage.pop(self._key(), None)
        self._answer(204)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: URLs contain signatures, and a line per part costs time."""

    def _size(self) -> int:
        return int(self.headers.get("Content-Length", 0))

    def _discard(self, size: int) -> None:
        if size:
            # Bytes that arrived with the headers; nothing is buffered after that.
            size -= len(self.rfile.read1(min(size, _BUFFERED_BYTES)))
        while size:
            taken = self.connection.recv_into(self._room, min(size, _READ_BYTES), _DISCARD)
            if not taken:
                raise ConnectionError("the client left in the middle of a body")
            size -= taken

    def _key(self) -> str:
        return urlsplit(self.path).path

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _metadata(self) -> dict[str, str]:
        return {k: v for k, v in self.headers.items() if k.lower().startswith(_META)}

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: str = "") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())


def _xml(operation: str, more: str = "", **fields: str) -> str:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0"?><{operation}Result>{inner}{more}</{operation}Result>'


if __name__ == "__main__":
    with Sink() as sink:
        print(sink.server_address[1], flush=True)
        sink.serve_forever()
