"""What Ctrl-C does to the command where nothing else is said: from its first moment on.

Little is imported here, for until that is done Ctrl-C prints a traceback.
"""

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""How a shell says that Ctrl-C ended a command."""


def end_at_once() -> None:
    """Let Ctrl-C end the process without a word, unless it was started to ignore it.

    For as long as modules are imported, of which KeyboardInterrupt makes a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_again() -> None:
    """Let it raise KeyboardInterrupt after all, as asyncio wants it to cancel what is running."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
