"""What two ends agree on in SDP, as plain values."""

from dataclasses import dataclass, field

from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Codec
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.ports.media import SessionKind

SENDING = frozenset({SessionKind.WHEP, SessionKind.WALL, SessionKind.RELAY, SessionKind.BRIDGE})
"""Sessions in which we send media; in the others we receive it."""


@dataclass(frozen=True, slots=True)
class Local:
    """What this end writes into SDP."""

    credentials: Credentials
    fingerprint: str
    candidates: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Remote:
    """What the other end wrote: credentials, certificate, DTLS role, where it may be reached."""

    credentials: Credentials
    fingerprint: str
    setup: str
    candidates: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """One agreed m-line. `repairs` maps RTX payload types to what they repair; `mid_extension` 0 means none.

    `name` is the publisher's track (main, thumb, audio) or the viewer's slot (video/0, audio/0). `ssrc` and
    `repair_ssrc` are ours, `sends_repairs` gives our RTX payload type for each media one; `announced` and
    `announced_repairs` are what the other end says it sends media and RTX with. Extension ids are 0 where not agreed.
    """

    kind: str
    mid: str
    mid_extension: int
    codecs: dict[int, Codec]
    repairs: dict[int, int]
    ssrc: int
    announced: tuple[int, ...] = ()
    announced_repairs: tuple[int, ...] = ()
    name: str = ""
    repair_ssrc: int = 0
    sends_repairs: dict[int, int] = field(default_factory=dict)
    transport_extension: int = 0  # transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01)
    level_extension: int = 0  # audio level (RFC 6464)

    def payload_types(self) -> dict[str, int]:
        """Return the payload type by codec name, and for `h264` the first one as the general case."""
        found: dict[str, int] = {}
        for number, codec in self.codecs.items():
            found.setdefault(codec.name, number)
            found.setdefault(codec.name.partition("/")[0], number)
        return found


@dataclass(frozen=True, slots=True)
class Agreement:
    """The text to give to the other end (empty if it has spoken last), and what follows for this one."""

    sdp: str
    remote: Remote
    tracks: tuple[Track, ...]
