"""Tests the demo pages' server and backend, over a gateway that is made here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from partway_server.devstack.demo_page import DemoPage
from partway_server.runtime.subprocesses import ChildError, free_port


class Gateway:
    """Answers each call with `status` and `answer`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: dict[str, Any] = {
            "upload": {"id": "the-id"},
            "uploadToken": {"token": "the-token"},
        }
        self.calls: list[tuple[str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.calls.append((request.path, await request.json()))
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def demo(folder: Path, gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session whose base is the demo page's address."""
    (folder / "index.html").write_text("<h1>Index</h1>")
    (folder / "plain.js").write_text("script")
    (folder / "secret.key").write_text("no page")
    app = web.Application()
    app.router.add_post("/{path:.*}", gateway.handle)
    async with TestServer(app) as server:
        page = DemoPage(free_port(), str(server.make_url("/")).rstrip("/"), folder=folder)
        async with page.served(), aiohttp.ClientSession(page.origin) as session:
            yield session


def test_pages_that_are_not_built_are_named(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="make demo-page"):
        DemoPage(1, "http://127.0.0.1", folder=tmp_path)


async def test_it_serves_the_pages_and_nothing_else(tmp_path: Path) -> None:
    async with demo(tmp_path, Gateway()) as session:
        async with session.get("/") as index:
            assert await index.text() == "<h1>Index</h1>"
            assert index.content_type == "text/html"
        async with session.get("/plain.js") as script:
            assert script.content_type == "text/javascript"
        for path in ("/secret.key", "/missing.html", "/..%2fsecret.key"):
            async with session.get(path) as missing:
                assert missing.status == 404


async def test_it_initializes_an_upload_with_a_token(tmp_path: Path) -> None:
    gateway = Gateway()
    async with demo(tmp_path, gateway) as session:
        file = {"name": "a.bin", "size": 5, "type": ""}
        async with session.post("/api/uploads", json=file) as response:
            answer = await response.json()
    assert (answer["uploadId"], answer["token"]) == ("the-id", "the-token")
    assert answer["gateway"].startswith("http://127.0.0.1:")
    assert gateway.calls == [
        (
            "/v1/uploads",
            {
                "fileName": "a.bin",
                "sizeBytes": 5,
                "contentType": "application/octet-stream",
                "uploadToken": {},
            },
        )
    ]


async def test_it_creates_another_token(tmp_path: Path) -> None:
    gateway = Gateway()
    async with demo(tmp_path, gateway) as session:
        async with session.post("/api/tokens", json={"uploadId": "the-id_1"}) as response:
            assert await response.json() == {"token": "the-token"}
    assert gateway.calls == [("/v1/uploads/the-id_1:createToken", {})]


async def test_a_refusal_of_the_gateway_reaches_the_page(tmp_path: Path) -> None:
    gateway = Gateway()
    gateway.status, gateway.answer = 400, {"code": 3, "message": "too large"}
    async with demo(tmp_path, gateway) as session:
        async with session.post("/api/uploads", json={"name": "a", "size": 1}) as response:
            assert (response.status, await response.json()) == (400, gateway.answer)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/tokens", b'{"uploadId": "../usage"}', 400),
        ("/api/tokens", b"{}", 400),
        ("/api/tokens", b"[]", 400),
        ("/api/uploads", b"{", 400),
    ],
)
async def test_what_is_not_a_request_is_not_passed_on(
    tmp_path: Path, path: str, body: bytes, status: int
) -> None:
    gateway = Gateway()
    json = {"content-type": "application/json"}
    async with demo(tmp_path, gateway) as session:
        async with session.post(path, data=body, headers=json) as response:
            assert response.status == status
    assert gateway.calls == []


async def test_a_form_of_another_site_is_refused(tmp_path: Path) -> None:
    gateway = Gateway()
    async with demo(tmp_path, gateway) as session:
        async with session.post("/api/uploads", data='{"name": "a", "size": 1}') as response:
            assert response.status == 415
    assert gateway.calls == []
