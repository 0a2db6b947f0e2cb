"""Ends the process on Ctrl-C by default, from its start to its exit.

This module imports little, since until then Ctrl-C prints a traceback.
"""

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""The exit code by which shells report that Ctrl-C ended a command."""


def end_at_once() -> None:
    """Make Ctrl-C end the process silently, unless it was started with SIGINT ignored.

    KeyboardInterrupt is not enough: during imports and interpreter shutdown nothing catches it,
    and some of it is printed and dropped.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)


def end(number: int, frame: FrameType | None) -> None:
    """Handle the signal: end the process."""
    os._exit(INTERRUPTED)
