"""What Ctrl-C does to the command where nothing else is said: from its first moment to its last.

Little is imported here, for until that is done Ctrl-C prints a traceback.
"""

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""How a shell says that Ctrl-C ended a command."""


def end_at_once() -> None:
    """Let Ctrl-C end the process without a word, unless it was started to ignore it.

    KeyboardInterrupt will not do for that: while modules are imported and while the interpreter
    ends, nobody is there to catch it, and some of it is printed and dropped.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)


def end(number: int, frame: FrameType | None) -> None:
    """The handler that does it."""
    os._exit(INTERRUPTED)
