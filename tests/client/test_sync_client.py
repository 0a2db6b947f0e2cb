"""Tests the client for code that does not use asyncio."""

import asyncio
import inspect
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from partway_client import SyncUploadClient, UploadClient, UploadNotFound

from tests.client.files import content
from tests.client.pacing import Slept, pace, until
from tests.client.service import Service
from tests.client.storage import Storage, waiting

VERBS = [
    *("upload_file", "compose", "status", "parts", "extend", "abort", "list_uploads", "usage"),
    "capabilities",
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_method_has_the_arguments_and_the_words_of_its_twin(verb: str) -> None:
    blocking, twin = getattr(SyncUploadClient, verb), getattr(UploadClient, verb)

    assert inspect.signature(blocking) == inspect.signature(twin)
    assert blocking.__doc__ == twin.__doc__


def test_every_verb_has_a_twin() -> None:
    verbs = [name for name in vars(UploadClient) if not name.startswith("_")]

    # Streaming methods return an iterator instead: tests/client/test_watch.py.
    assert sorted(verbs) == sorted([*VERBS, "watch"])
    assert inspect.signature(SyncUploadClient.watch).parameters.keys() == {"self", "upload_id"}


async def test_a_file_is_uploaded_without_asyncio(
    service: Service, storage: Storage, slept: Slept, state_dir: Path, movie: Path
) -> None:
    def work() -> str:
        with SyncUploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
            uploaded = client.upload_file(movie)
            assert client.status(uploaded.upload_id).etag == "final"
            assert len(client.list_uploads()) == 1
            return uploaded.upload_id

    upload_id = await asyncio.to_thread(work)

    assert storage.bytes_of(upload_id) == content(movie)


async def test_an_error_comes_through(service: Service, slept: Slept, state_dir: Path) -> None:
    def work() -> None:
        with SyncUploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
            client.abort("nothing")

    with pytest.raises(UploadNotFound):
        await asyncio.to_thread(work)


async def test_the_thread_ends_with_the_client(
    service: Service, slept: Slept, state_dir: Path
) -> None:
    def work() -> None:
        with SyncUploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
            client.list_uploads()

    await asyncio.to_thread(work)

    assert "partway-client" not in [thread.name for thread in threading.enumerate()]


def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="use it in `with`"):
        SyncUploadClient("127.0.0.1:9").status("any")


async def test_a_forked_child_gets_an_error_and_the_parent_goes_on(
    service: Service, state_dir: Path, movie: Path
) -> None:
    program = (
        "import os, sys\n"
        "from partway_client import SyncUploadClient\n"
        "with SyncUploadClient(sys.argv[1], state_dir=sys.argv[2]) as client:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        try:\n"
        "            client.usage()\n"
        "        except RuntimeError as error:\n"
        "            print(error, flush=True)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print(client.upload_file(sys.argv[3]).uri)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, service.address, state_dir, movie),
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await process.communicate()

    assert stdout.decode().splitlines() == [
        "the client was opened before the fork; open one in this process",
        "s3://bucket/files/movie.mp4",
    ]


async def test_ctrl_c_cancels_what_was_under_way(
    service: Service, storage: Storage, state_dir: Path, movie: Path
) -> None:
    program = (
        "import sys, threading\n"
        "from partway_client import SyncUploadClient\n"
        "try:\n"
        "    with SyncUploadClient(sys.argv[1], state_dir=sys.argv[2]) as client:\n"
        "        client.upload_file(sys.argv[3])\n"
        "except KeyboardInterrupt:\n"
        "    print('partway-client' in [t.name for t in threading.enumerate()])\n"
    )
    storage.fail(0, *[waiting(storage.finished)] * 10)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        service.address,
        state_dir,
        movie,
        env=os.environ | {"PYTHONWARNINGS": "error"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await until(lambda: storage.open_puts == 8)

    process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()

    assert stdout == b"False\n"
    assert stderr == b""
    await until(lambda: not storage.open_puts)
