"""Snapshots: single pictures that a node posts in place of a stream whose media path is down.

The last rung of the ladder "another session -> every other way -> snapshots, never ending". **A snapshot is never a
live picture**: it does not pass through the media engine, so nothing that judges, records or counts streams meets it,
and it is shown with its age alone. A *still* is another thing: it is decoded from a stream that arrives.

On the wire it is `PUT {whip_url}/snapshot` with the publisher's token, `image/jpeg` of at most `MOST_BYTES`, and two
headers: `TAKEN_AT` (RFC 3339, by the camera owner's clock) and `AGE_MS` (age when it was sent, by a clock that nobody
sets). A gateway passes it on to the tier above in the same way, with the same `TAKEN_AT` and a greater `AGE_MS`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocols.errors import BadClockError, BadMediaError, BadSchemaError, ExpiredError, TooLargeError

KIND = "image/jpeg"
TAKEN_AT = "X-Snapshot-Taken-At"
AGE_MS = "X-Snapshot-Age-Ms"
MOST_BYTES = 96 * 1024
"""960 x 540 at quality 80 has 40 to 90 KB; a sender takes a lower quality, then a smaller size, until it fits."""
MOST_PIXELS = 1920 * 1080
"""A small file may unfold into a picture that no console can hold."""
FRESH_S = 10.0
"""A sender sends no older picture: a camera that stopped gives none."""
OLDEST_S = 30.0
"""A gateway takes no older one; four tiers add at most some seconds each."""
KEPT_S = 60.0
"""A gateway shows no older one, whatever became of its sender."""
AHEAD_S = 2.0
"""A clock may be ahead by so much: as much younger a picture might be called."""
BEHIND_S = 15.0
"""So much may lie between sending and arrival on a slow line; what is more is a clock that is behind."""
EVERY_S = 5.0
"""A stream's snapshots follow one another at this distance."""
LEAST_GAP_S = 2.0
"""Those that follow closer are refused."""
SHARE = 4.0
"""A link rests so many times as long as the last snapshot took on it: a fifth of the line at most is theirs."""
LEAST_REST_S = 1.0
AGAIN_S = 10.0
"""A stream whose snapshot was refused, or could not be made, waits so long."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One picture of `stream`. `age_s` is its age in seconds at the moment of speaking."""

    stream: str
    jpeg: bytes
    taken_at: datetime
    age_s: float


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a whole JPEG (ITU-T T.81); raises TooLargeError, BadMediaError. Decodes nothing."""
    if len(data) > MOST_BYTES:
        raise TooLargeError(f"the snapshot has {len(data)} bytes, the limit is {MOST_BYTES}")
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        raise BadMediaError("the snapshot is not a whole JPEG; send image/jpeg from FF D8 to FF D9")
    size = _frame_size(data)
    if size is None:
        raise BadMediaError("the snapshot has no JPEG frame header that can be read")
    width, height = size
    if not width or not height or width * height > MOST_PIXELS:
        raise BadMediaError(f"the snapshot is {width} x {height}; send at most {MOST_PIXELS} pixels")
    return size


_SCAN, _NO_FRAME = 0xDA, frozenset({0xC4, 0xC8, 0xCC})


def _frame_size(data: bytes) -> tuple[int, int] | None:
    """Walk over the segments to the frame header (SOF); each has a length of two bytes at least."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker (B.1.1.2)
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        if marker == _SCAN or length < 2:
            return None
        at += 2 + length
    return None


def headers_of(snapshot: Snapshot) -> dict[str, str]:
    """Return the headers that say when it was taken."""
    return {TAKEN_AT: snapshot.taken_at.isoformat(), AGE_MS: str(round(snapshot.age_s * 1000))}


def times_of(taken_at: str | None, age_ms: str | None) -> tuple[datetime, float]:
    """Read both headers; returns the time and the age in seconds at sending. Raises BadSchemaError."""
    try:
        time, age = datetime.fromisoformat(taken_at or ""), int(age_ms or "") / 1000
    except (ValueError, OverflowError):
        raise BadSchemaError(f"say when it was taken: {TAKEN_AT} (RFC 3339) and {AGE_MS} (an integer)") from None
    if time.tzinfo is None or age < 0:
        raise BadSchemaError(f"{TAKEN_AT} needs its offset from UTC, {AGE_MS} is not negative")
    return time, age


def age_at(taken_at: datetime, age_s: float, now: datetime) -> float:
    """Return a snapshot's age in seconds as it arrives at `now`, the greater of what both clocks say.

    Raises BadClockError where they contradict each other, ExpiredError where the picture is too old to be shown.
    """
    by_clock = (now - taken_at) / timedelta(seconds=1)
    late = by_clock - age_s
    if late < -AHEAD_S:
        raise BadClockError(f"the sender's clock is {-late:.0f} s ahead; set it, or this gateway's")
    if late > BEHIND_S:
        raise BadClockError(f"the sender's clock is {late:.0f} s behind, or the line as slow; set the clock")
    age = max(by_clock, age_s)
    if age > OLDEST_S:
        raise ExpiredError(f"the snapshot is {age:.0f} s old; send none over {OLDEST_S:.0f} s")
    return age


class SnapshotTurns:
    """Which stream's snapshot is sent next over one link: one at a time, the longest waiting first.

    ======== ======================= ======== ====================================================
    state    event                   next     effect
    ======== ======================= ======== ====================================================
    free     due(dark)               busy     the stream that is returned is sent
    busy     due                     same     none
    busy     done, good              free     link rests SHARE times as long; stream EVERY_S
    busy     done, bad               free     the same; stream AGAIN_S
    any      a stream is not dark    same     it is forgotten: next time it is sent at once
    ======== ======================= ======== ====================================================

    Times are monotonic seconds. `dark` are the streams that somebody wants and whose media path is down.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._next: dict[str, float] = {}
        self._free_at = 0.0
        self._busy: str | None = None
        self._began = 0.0

    def due(self, now: float, dark: Collection[str]) -> str | None:
        """Return the stream to send now, if any; then `done` must follow."""
        self._next = {stream: at for stream, at in self._next.items() if stream in dark}
        if self._busy is not None or now < self._free_at:
            return None
        waiting = sorted((self._next.get(stream, 0.0), stream) for stream in dark)
        if not waiting or waiting[0][0] > now:
            return None
        self._busy, self._began = waiting[0][1], now
        return self._busy

    def done(self, now: float, *, good: bool) -> None:
        """Take the end of what `due` began, however it ended."""
        if self._busy is None:
            return
        stream, self._busy = self._busy, None
        self._free_at = now + max(LEAST_REST_S, SHARE * (now - self._began))
        self._next[stream] = now + (self._every_s if good else AGAIN_S)
