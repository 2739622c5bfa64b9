"""The nearest known key to one that was mistyped."""

import difflib
from collections.abc import Sequence


def nearest_key(typed: str, known: Sequence[str]) -> str:
    """Return the known key that looks most like `typed`; the first one where nothing is near."""
    found = difflib.get_close_matches(typed, known, n=1, cutoff=0.0)
    return found[0] if found else known[0]
