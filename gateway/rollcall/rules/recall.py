"""Whether a picture was seen in an earlier call already: then what arrives is a recording (domain.md 3.5, row 3). Pure.

No look at one call tells a recording that is longer than the look from life. Over many calls it gives itself away: a
sensor never makes the same noise twice, so a key frame with visible grain whose every pixel was seen before is the same
frame. **Only pictures that change within the call are judged**: one that stands still may be the same again for good
reasons.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

LEAST: Final = 3
"""So many different pictures of a call show that its picture changes."""
REST: Final = timedelta(minutes=10)
"""Two calls in a row may look at the same key frame; after this time none comes by itself."""


def recalled(prints: Iterable[str], earlier: Mapping[str, datetime], now: datetime) -> datetime | None:
    """Return when a picture of this call was seen in an earlier one, None where none was.

    `prints` name the exact pixels of pictures with visible grain, `earlier` when each was seen first.
    """
    mine = set(prints)
    if len(mine) < LEAST:
        return None
    return min((earlier[one] for one in mine if one in earlier and now - earlier[one] >= REST), default=None)
