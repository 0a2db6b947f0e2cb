"""Registers what the tests share; the code is in `tests/support/`."""

pytest_plugins = ["tests.support.backends"]
