"""Watches the event loop and the readers of replies, while the server runs."""

import asyncio
import time

from partway_server.rpc.admission import Admission
from partway_server.rpc.slow_readers import SlowReaders

SAMPLE_SECONDS = 0.02
SWEEP_SECONDS = 1.0


async def watch_load(admission: Admission, slow_readers: SlowReaders) -> None:
    """Let admission observe how late the loop runs, and end slow readers, until cancelled."""
    loop = asyncio.get_running_loop()
    had = time.thread_time()
    sweep_at = loop.time() + SWEEP_SECONDS
    while True:
        due = loop.time() + SAMPLE_SECONDS
        await asyncio.sleep(SAMPLE_SECONDS)
        late, before, had = loop.time() - due, had, time.thread_time()
        admission.observe(late, (had - before) / (SAMPLE_SECONDS + late))
        if due >= sweep_at:
            sweep_at = due + SWEEP_SECONDS
            slow_readers.sweep()
            admission.report()
