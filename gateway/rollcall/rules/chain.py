"""The chain of evidence: every file that proves something of a roll call, and every deletion, in one order.

**hash(n) = SHA-256(hash(n-1) + canonical JSON of link n)**; the first one follows `GENESIS`. A link names its file by
the SHA-256 of its bytes, so neither the file nor the list can be changed unnoticed. A file whose time is over goes with
a link of kind `deletion` that names it: a missing file without one is a fault. Pure.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import StrEnum

GENESIS = "0" * 64


class EvidenceKind(StrEnum):
    """What a file proves, or that it is gone."""

    STILL = "still"  # a picture: at the answer, some seconds later, at the end
    CLIP = "clip"  # about 10 s of picture and sound
    SOUND = "sound"  # loudness over time
    SERIES = "series"  # figures of the line, each second
    RECORD = "record"  # what the county answered, the health of its box, what was gathered
    DELETION = "deletion"  # the file of an earlier link was deleted


@dataclass(frozen=True, slots=True)
class Link:
    """One link. Times are microseconds since 1970, exactly as stored; `number` counts within a point and kind."""

    seq: int
    roll_call_id: str
    centre: str
    kind: EvidenceKind
    number: int
    sha256: str
    octets: int
    media_type: str
    taken_us: int
    at_us: int
    note: str
    previous: str
    hash: str = ""


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What checking found: `fault` is None where all is whole, else a sentence naming the place.

    `files` are those that must be there: the names of all that were not deleted.
    """

    links: int
    head: str
    files: frozenset[str]
    fault: str | None = None


def digest(link: Link) -> str:
    """Return the hash that the link must bear."""
    body = astuple(link)[:-2]
    text = link.previous + json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class ChainCheck:
    """Feed `take` with links in order of `seq`; after the first fault nothing more is looked at."""

    def __init__(self) -> None:
        self._head, self._count = GENESIS, 0
        self._files: set[str] = set()
        self._fault: str | None = None

    def take(self, link: Link) -> None:
        """Take the next link."""
        if self._fault is not None:
            return
        self._count += 1
        self._fault = self._look(link)
        self._head = link.hash if self._fault is None else self._head

    @property
    def verdict(self) -> ChainVerdict:
        """What was found so far."""
        return ChainVerdict(self._count, self._head, frozenset(self._files), self._fault)

    def _look(self, link: Link) -> str | None:
        if link.seq != self._count:
            return f"evidence {self._count} is missing: the next one found is {link.seq}"
        if link.previous != self._head:
            return f"evidence {link.seq} does not follow the one before it"
        if digest(link) != link.hash:
            return f"evidence {link.seq} was changed after it was written"
        if link.kind is not EvidenceKind.DELETION:
            self._files.add(link.sha256)
        elif link.sha256 in self._files:
            self._files.discard(link.sha256)
        else:
            return f"evidence {link.seq} deletes a file that was not there"
        return None


def verify(links: Iterable[Link]) -> ChainVerdict:
    """Check a whole chain."""
    check = ChainCheck()
    for link in links:
        check.take(link)
    return check.verdict
