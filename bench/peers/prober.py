"""Times small calls to a peer from a process of its own, while another asks the peer for much.

It is run as `python -m bench.peers.prober PEER ADDRESS STORAGE`, and prints a line when it is
ready. For each line on standard input, which begins or ends a time, it prints one: the milliseconds
of the calls since the beginning, as JSON.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bench.peers.catalogue import PEERS
from bench.peers.driver import Driver

PAUSE = 0.002


class Prober:
    """The process that times, as seen from the one that asks for much."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, peer: str, address: str, storage: str) -> AsyncIterator["Prober"]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.peers.prober", peer, address, storage),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            # Ctrl-C goes to this process alone. If that is killed, the end of input ends the other.
            process_group=0,
            limit=2**24,
        )
        prober = cls(process)
        try:
            await prober._line()
            yield prober
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def begin(self) -> None:
        await self._say()

    async def end(self) -> list[float]:
        """Return the milliseconds of the calls since `begin`."""
        found: list[float] = json.loads(await self._say())
        return found

    async def _say(self) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()
        return await self._line()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        if not (line := await self._process.stdout.readline()):
            raise RuntimeError("the process that times small calls has ended")
        return line.decode()


async def _probe(driver: Driver) -> None:
    """Time calls between lines of standard input."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(0, "rb", buffering=0)
    )
    for _ in range(20):
        await driver.small()
    print("ready", flush=True)
    while await lines.readline():
        print("begun", flush=True)
        ended = asyncio.ensure_future(lines.readline())
        took: list[float] = []
        while not ended.done() or not took:
            began = time.perf_counter()
            await driver.small()
            took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE)
        print(json.dumps(took), flush=True)


async def _main(peer: str, address: str, storage: str) -> None:
    driver = PEERS[peer].driver(address, storage)
    try:
        await _probe(driver)
    finally:
        await driver.aclose()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
