"""Tests that what a service has loaded is left alone by garbage collection."""

import gc

from partway_server.runtime.garbage import freeze_loaded


def test_what_is_loaded_is_exempt() -> None:
    before = gc.get_freeze_count()
    try:
        freeze_loaded()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
