"""What a worker says to the recorder: a stream's packets as records, bounded; and the recorder's reading of them.

**A tap never holds forwarding up**: packets wait in memory up to a bound. Beyond it the rest of the group of pictures
is dropped and counted, and the tap goes on with the next key frame for which there is room.
"""

import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo

VIDEO, AUDIO = 0, 1
TRACKS = {"main": VIDEO, "thumb": VIDEO, "audio": AUDIO}
CODECS = ("other", "vp8", "h264", "opus", "vp9", "av1", "h265")
_MARKER, _KEY, _LOST, _REPORT = 1, 2, 4, 8
_HEAD = struct.Struct("!BBBQIQId")
HEAD = _HEAD.size
MAX_PAYLOAD = 1 << 16
MAX_BACKLOG = 8 << 20
"""Octets that wait for the recorder: four seconds of 16 Mbit/s."""
_SOURCES, _TAPS = 1 << 24, 1 << 64
"""Generations of one source; above them stands the number of the source, so that generations only grow."""


class Record(NamedTuple):
    """One packet; `lost`: it will not come; `report`: `number` is an NTP time that `timestamp` stands for."""

    track: int
    codec: str
    marker: bool
    key: bool
    lost: bool
    report: bool
    generation: int
    number: int
    timestamp: int
    at: float
    payload: bytes


class Tap:
    """Feed `take` and `report`; send what `pending` holds, and tell `sent` how much of it went."""

    def __init__(self, name: str, strand: str = "main") -> None:
        """`strand` is the picture that is wished for (main or thumb); the sound goes with it."""
        self.name = name
        self.wish = self.strand = strand
        self.dropped = 0
        self.starved = True
        self.backlog = 0
        self._pending: deque[bytes] = deque()
        self._skipping = False
        self._pictures = False
        self._say(f"{name}\n".encode())

    def take(self, track: str, packets: Sequence[Media], source: int, *, lost: bool = False) -> None:
        """Take packets of the stream; `source` counts the stream's sources, `lost` marks what will not come."""
        if track in {self.strand, "audio"}:
            self._pictures = self._pictures or track != "audio"
            for media in packets:
                self._take(TRACKS[track], media, source, lost=lost)

    def _take(self, track: int, media: Media, source: int, *, lost: bool) -> None:
        if self._skipping:
            if self.backlog > MAX_BACKLOG // 2 or not (media.key or not self._pictures):
                self.dropped += 1
                return
            self._skipping = False
        if media.key:
            self.starved = False
        flags = (_MARKER if media.marker else 0) | (_KEY if media.key else 0) | (_LOST if lost else 0)
        family = media.codec.partition("/")[0]
        codec = CODECS.index(family) if family in CODECS else 0
        generation = source * _SOURCES + media.generation
        head = (track, codec, flags, generation, len(media.payload), media.number, media.timestamp, media.at)
        self._say(_HEAD.pack(*head) + media.payload)
        if self.backlog > MAX_BACKLOG:
            self._skipping = True
            self.starved = self._pictures

    def report(self, track: str, info: SenderInfo, generation: int, source: int, now: float) -> None:
        """Take a sender's report: it tells how sound and picture belong together."""
        if track in {self.strand, "audio"} and not self._skipping:
            place = source * _SOURCES + generation
            self._say(_HEAD.pack(TRACKS[track], 0, _REPORT, place, 0, info.ntp, info.timestamp, now))

    def _say(self, data: bytes) -> None:
        self._pending.append(data)
        self.backlog += len(data)

    def pending(self, most: int) -> bytes:
        """Return what waits, `most` octets or a little more."""
        size = 0
        parts = []
        for part in self._pending:
            parts.append(part)
            size += len(part)
            if size >= most:
                break
        return b"".join(parts)

    def sent(self, octets: int) -> None:
        """Note that the first `octets` of `pending` went out."""
        self.backlog -= octets
        while octets:
            first = self._pending.popleft()
            if len(first) > octets:
                self._pending.appendleft(first[octets:])
                return
            octets -= len(first)


class Reader:
    """The recorder's end: feed bytes as they come, take whole records.

    `epoch` counts the taps of a recording: a worker counts its sources from one again, and what comes through a later
    tap is of a later generation all the same.
    """

    def __init__(self, epoch: int = 0) -> None:
        self._kept = bytearray()
        self._first = epoch * _TAPS

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that are whole now; raises MalformedError on what no tap says."""
        kept = self._kept
        kept += data
        found: list[Record] = []
        at = 0
        while len(kept) - at >= HEAD:
            track, codec, flags, generation, size, number, timestamp, came = _HEAD.unpack_from(kept, at)
            if track > AUDIO or codec >= len(CODECS) or size > MAX_PAYLOAD:
                raise MalformedError("not a record of a tap")
            if len(kept) - at < HEAD + size:
                break
            payload = bytes(kept[at + HEAD : at + HEAD + size])
            at += HEAD + size
            marks = (bool(flags & _MARKER), bool(flags & _KEY), bool(flags & _LOST), bool(flags & _REPORT))
            place = self._first + generation
            found.append(Record(track, CODECS[codec], *marks, place, number, timestamp, came, payload))
        del kept[:at]
        return found
