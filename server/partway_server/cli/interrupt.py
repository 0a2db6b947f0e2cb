"""What Ctrl-C does to a command, from its first moment on.

Imports little: until its handler is set, Ctrl-C prints a traceback.
"""

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""The exit code by which a shell reports that Ctrl-C ended a command."""


def end_at_once() -> None:
    """Let Ctrl-C end the process silently, unless the process was started to ignore it.

    For as long as modules are being imported, where KeyboardInterrupt would print a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, which asyncio needs to cancel what is running."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
