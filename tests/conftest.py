"""Registers what the tests share; the code is in `tests/support/`."""

import signal

pytest_plugins = ["tests.support.backends"]

# A shell starts what it puts in the background with Ctrl-C ignored, and so would be all that tests
# start, of which some are to be ended by it.
signal.signal(signal.SIGINT, signal.default_int_handler)
