"""The demo pages of the embedded stack, and the backend that a page needs: it initializes Uploads.

The backend calls the REST gateway as any backend could: without credentials, since the embedded
stack accepts everyone.
"""

import contextlib
import importlib.resources
from collections.abc import AsyncIterator
from importlib.resources.abc import Traversable
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from partway_server.runtime.subprocesses import ChildError

_HOST = "127.0.0.1"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
_FILES = importlib.resources.files("partway_server.devstack") / "demo_files"
"""Built from examples/browser; a wheel has them if they were built before it was."""

_CALL_SECONDS = 30.0
_REST = web.AppKey("rest", str)
_HTTP = web.AppKey("http", aiohttp.ClientSession)
_PAGES = web.AppKey("pages", dict[str, Traversable])


class DemoPage:
    """The pages and their backend, on a port of their own: an origin other than the gateway's."""

    def __init__(self, port: int, rest: str, *, folder: Traversable | None = None) -> None:
        """`rest` is the address of the gateway. Raises ChildError if the pages are not built."""
        self.origin = f"http://{_HOST}:{port}"
        self._port = port
        self._rest = rest
        self._pages = _built_pages(folder or _FILES)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve the pages while the context lasts."""
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            app = web.Application(middlewares=[_pass_refusals_on])
            app[_PAGES], app[_REST], app[_HTTP] = self._pages, self._rest, http
            app.add_routes(
                [
                    web.get("/{name:[a-z0-9._-]*}", _page),
                    web.post("/api/uploads", _initialize),
                    web.post("/api/tokens", _create_token),
                ]
            )
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, _HOST, self._port).start()
                yield
            finally:
                await runner.cleanup()


def _built_pages(folder: Traversable) -> dict[str, Traversable]:
    files = [*folder.iterdir()] if folder.is_dir() else []
    pages = {file.name: file for file in files if _type_of(file.name)}
    if "index.html" not in pages:
        raise ChildError("the demo pages are not built; run `make demo-page` in a clone of Partway")
    return pages


class _Refused(Exception):
    """A call that the gateway refused, with its answer."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(f"the gateway answers {status}")
        self.status = status
        self.answer = answer


@web.middleware
async def _pass_refusals_on(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except _Refused as refused:
        return web.json_response(refused.answer, status=refused.status)


async def _page(request: web.Request) -> web.Response:
    name = request.match_info["name"] or "index.html"
    file = request.app[_PAGES].get(name)
    if file is None:
        raise web.HTTPNotFound
    # They change while somebody works on them.
    headers = {"cache-control": "no-cache"}
    body = file.read_bytes()
    return web.Response(body=body, content_type=_type_of(name), charset="utf-8", headers=headers)


async def _initialize(request: web.Request) -> web.Response:
    """Initialize an Upload for a file of the user, who is whoever opened the page."""
    file = await _json(request)
    wanted: dict[str, Any] = {
        "fileName": file.get("name"),
        "sizeBytes": file.get("size"),
        "contentType": file.get("type") or "application/octet-stream",
        "uploadToken": {},
    }
    answer = await _call(request, "/v1/uploads", wanted)
    token = answer["uploadToken"]["token"]
    return web.json_response(
        {"gateway": request.app[_REST], "uploadId": answer["upload"]["id"], "token": token}
    )


async def _create_token(request: web.Request) -> web.Response:
    """Create another token for an Upload. A real backend checks that it is the user's own."""
    upload_id = (await _json(request)).get("uploadId")
    if not isinstance(upload_id, str) or not upload_id.replace("-", "").replace("_", "").isalnum():
        raise web.HTTPBadRequest(text="uploadId is missing or not one")
    answer = await _call(request, f"/v1/uploads/{upload_id}:createToken", {})
    return web.json_response({"token": answer["uploadToken"]["token"]})


async def _json(request: web.Request) -> dict[str, Any]:
    # A form of another site can send text, but not JSON, without being asked.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is not an object")
    return body


async def _call(request: web.Request, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call the gateway. Raises _Refused."""
    async with request.app[_HTTP].post(request.app[_REST] + path, json=body) as response:
        answer: dict[str, Any] = await response.json(content_type=None)
        if response.status != 200:
            raise _Refused(response.status, answer)
        return answer


def _type_of(name: str) -> str:
    return _TYPES.get("." + name.rpartition(".")[2], "")
