"""What control keeps of a session, and what it makes one with: names, secrets and numbers that nobody can guess."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.adapters.media_embedded import sdp
from gateway.adapters.media_embedded.rules.description import Agreement, Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.ports.media import EndReason, SessionKind
from protocols.aio.whip import WhipClient
from protocols.errors import BadMediaError, RefusedError

WARM_UP_AFTER_S = 5.0


@dataclass(slots=True)
class Known:
    """A session as control knows it."""

    session: str
    kind: SessionKind
    stream: str
    worker: str
    local: Local
    etag: str = ""
    mids: tuple[str, ...] = ()
    first_kind: str = "video"
    slots: tuple[str, ...] = ()
    remote: Credentials | None = None
    address: str | None = None
    """Where its HTTP request came from."""
    client: WhipClient | None = None
    shows: dict[str, str] = field(default_factory=dict)
    """What stands in the slots of a wall."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: EndReason | None = None
    plain: bool = False
    """Whether another engine sends it as plain RTP."""

    pictures: frozenset[str] = frozenset()
    """Codecs that were agreed for pictures, by name in small letters."""

    def agree(self, agreed: Agreement) -> None:
        """Keep what was agreed."""
        videos = [track for track in agreed.tracks if track.kind == "video"]
        self.pictures = frozenset(_plain(codec.name) for track in videos for codec in track.codecs.values())
        self.mids = tuple(track.mid for track in agreed.tracks if track.mid)
        self.first_kind = agreed.tracks[0].kind
        self.slots = tuple(track.name for track in agreed.tracks)
        self.remote = agreed.remote.credentials


def _plain(name: str) -> str:
    return name.partition("/")[0].lower()


@dataclass(frozen=True, slots=True)
class Feed:
    """A stream that another engine sends as plain RTP: under which session's name, and at which address it is heard."""

    session: str
    stream: str
    host: str
    opened_at: float


def credentials() -> Credentials:
    """Make ICE credentials of 48 and 144 random bits, in ice-chars (RFC 8839 section 5.4)."""
    return Credentials(secrets.token_hex(6), secrets.token_hex(16))


def ssrcs() -> Iterator[int]:
    """Draw SSRCs, each once (RFC 3550 section 8.1)."""
    drawn = {0}
    while True:
        ssrc = secrets.randbits(32)
        if ssrc not in drawn:
            drawn.add(ssrc)
            yield ssrc


def accept(text: str, kind: SessionKind, offered: dict[str, int]) -> Agreement:
    """Take another gateway's answer to our offer; raises RefusedError where it cannot be used."""
    try:
        agreed = sdp.accept(text, kind, offered)
    except BadMediaError as error:
        raise RefusedError(f"the other gateway's answer cannot be used: {error}", "bad_answer") from error
    if not agreed.remote.candidates:
        raise RefusedError("the other gateway named no address for media", "bad_answer")
    return agreed


async def warm_up() -> None:
    """Load the SDP library outside the loop's turn: the first import takes half a second."""
    import sys

    if "aiortc.sdp" not in sys.modules:
        from importlib import import_module

        await asyncio.to_thread(import_module, "aiortc.sdp")


async def warm_up_later() -> None:
    """Load what the first offer needs when the start is over, so that the first viewer does not wait for it."""
    await asyncio.sleep(WARM_UP_AFTER_S)
    await warm_up()
