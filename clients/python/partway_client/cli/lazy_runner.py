"""Runs a command's work, importing what that needs only then."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from partway_client.cli.options import ServiceOptions

if TYPE_CHECKING:
    from partway_client.client import UploadClient

T = TypeVar("T")


def run(
    service: ServiceOptions,
    work: Callable[["UploadClient"], Coroutine[Any, Any, T]],
    stopped: str = "",
    *,
    max_bytes_per_second: int = 0,
    retries: int | None = None,
) -> T:
    """Return what `work` returns. If it fails, print why and end the process."""
    # Imported late, since it imports gRPC, which is slow.
    from partway_client.cli import runner

    return runner.run(
        service, work, stopped, max_bytes_per_second=max_bytes_per_second, retries=retries
    )
