"""A stream is kept on disk while it is sent, and does not fill the disk."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from partway_client import SizeMismatch, SpoolFailed
from partway_client._source.spool import free_space, spool

MIB = 1024 * 1024


class Endless(io.RawIOBase):
    """Zeros; `given` counts them."""

    given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return bytes(size)


def disk_of(total: int) -> Callable[[int], int]:
    """The room on a disk of its own for the file."""
    return lambda fd: total - os.fstat(fd).st_size


def opener(stream: object) -> Callable[[], contextlib.nullcontext[BinaryIO]]:
    return lambda: contextlib.nullcontext(stream)  # type: ignore[arg-type]


def ignored(count: int) -> None: ...


async def test_a_stream_without_an_end_does_not_fill_the_disk() -> None:
    zeros = Endless()

    with pytest.raises(SpoolFailed, match=r"nearly full after 3,145,728 bytes.*set TMPDIR"):
        await spool(
            opener(zeros), name="zeros", size=None, counted=ignored, room=disk_of(3 * MIB + 5)
        )

    assert zeros.given == 4 * MIB


async def test_a_stream_that_says_it_is_too_large_is_not_read() -> None:
    zeros = Endless()

    with pytest.raises(SpoolFailed, match="not enough of its disk is free"):
        await spool(
            opener(zeros), name="zeros", size=3 * MIB, counted=ignored, room=disk_of(3 * MIB - 1)
        )

    assert zeros.given == 0


async def test_a_stream_is_not_read_far_beyond_the_size_given() -> None:
    zeros = Endless()

    with pytest.raises(SizeMismatch, match="more than the 10 bytes given"):
        await spool(opener(zeros), name="zeros", size=10, counted=ignored)

    assert zeros.given == MIB


async def test_a_stream_that_just_fits_is_kept() -> None:
    stream = io.BytesIO(bytes(3 * MIB))

    source = await spool(
        opener(stream), name="zeros", size=3 * MIB, counted=ignored, room=disk_of(3 * MIB)
    )

    assert source.size_bytes == 3 * MIB
    source.close()


GIB = 1024**3


@pytest.mark.parametrize(
    ("total", "free", "room"),
    [
        (100 * GIB, 5 * GIB, 4 * GIB),
        (2 * GIB, GIB // 2, GIB // 2 - 2 * GIB // 20),
        (100 * GIB, GIB - 4096, -4096),
    ],
)
def test_some_of_the_disk_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, room: int
) -> None:
    fields = list(os.statvfs(tmp_path))
    # Of a block, of a fragment; how many fragments there are, are free, and are free to us.
    fields[:5] = [4096 * 4, 4096, total // 4096, free // 4096 + 7, free // 4096]
    monkeypatch.setattr("os.fstatvfs", lambda fd: os.statvfs_result(fields))

    assert free_space(0) == room


def test_a_disk_that_does_not_say_is_taken_to_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fstatvfs", lambda fd: os.statvfs_result([0] * 10))

    assert free_space(0) > 1024 * GIB
