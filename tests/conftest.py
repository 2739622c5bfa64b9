"""One profile for all property tests, and the order of files: a slow machine is no fault, and nobody waits at the end.

The gate draws the same cases each time. A worker takes a whole file, so `slow` files come first: begun last, one would
go on for minutes while the other worker has nothing left to do.
"""

import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("silian", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("silian")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with a `slow` test first; the order within a file and among equals stays."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Spare the collector what lives until the end anyway: it looked at all modules and tests each time."""
    gc.collect()
    gc.freeze()
