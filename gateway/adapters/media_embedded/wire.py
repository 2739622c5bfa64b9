"""What control and worker say to each other: typed messages as JSON with an optional block of bytes, length-prefixed.

One socket pair, no file on disk. Every request has a number and gets exactly one reply; events have none.
"""

import asyncio
import struct
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.ports.media import EndReason, Layer, SessionKind, SessionStats, Showing, Slot, StreamState, StreamStats

_HEAD = struct.Struct("!II")
MAX_JSON, MAX_BLOCK = 8 << 20, 16 << 20


class WireError(Exception):
    """The other process spoke nonsense or is gone."""


@dataclass(frozen=True, slots=True)
class Configure:
    """First message: who we are and where to listen. `port` 0 takes a free one, `tcp` also for connections.

    `window_s` is how long packets are collected at most before they are forwarded together. `library` is the compiled
    backend's file.
    All relays together send at most `uplink_bps`; 0 is no limit.
    """

    certificate: str
    key: str
    bind: tuple[str, ...]
    port: int
    backend: str
    window_s: float
    library: str = ""
    tcp: bool = False
    uplink_bps: int = 0
    op: Literal["configure"] = "configure"


@dataclass(frozen=True, slots=True)
class Reserve:
    """Open a socket for an upward session or for plain RTP; the reply's `port` is told to the other end.

    It is bound to `host`, without one to each address that the worker listens on, under one number.
    """

    session: str
    host: str = ""
    op: Literal["reserve"] = "reserve"


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a session. With `candidates` it is controlling and uses its reserved socket, else it is ICE-lite.

    `plain` takes RTP as it is, from the host of the one candidate alone, which is where its RTCP is heard.
    """

    session: str
    kind: SessionKind
    stream: str
    local: Credentials
    remote: Credentials
    fingerprint: str
    tracks: tuple[Track, ...]
    opened_at: float
    dtls_server: bool = True
    candidates: tuple[Address, ...] = ()
    plain: bool = False
    op: Literal["open"] = "open"


@dataclass(frozen=True, slots=True)
class Restart:
    """ICE restart of a lite session: new credentials of ours."""

    session: str
    local: Credentials
    op: Literal["restart"] = "restart"


@dataclass(frozen=True, slots=True)
class Close:
    """End a session; an unknown one is no error."""

    session: str
    reason: EndReason
    op: Literal["close"] = "close"


@dataclass(frozen=True, slots=True)
class Assign:
    """Change what stands in slots of a wall; False for an unknown session or slot."""

    session: str
    slots: tuple[Slot, ...]
    op: Literal["assign"] = "assign"


@dataclass(frozen=True, slots=True)
class Carry:
    """Let a relay send these layers alone; False for an unknown session."""

    session: str
    layers: tuple[Layer, ...]
    op: Literal["carry"] = "carry"


@dataclass(frozen=True, slots=True)
class Tap:
    """Copy a stream's packets, from its kept group on, to the recorder's socket at `path` (see `rules/tapping`)."""

    tap: str
    stream: str
    layer: Layer
    path: str
    op: Literal["tap"] = "tap"


@dataclass(frozen=True, slots=True)
class Untap:
    """End a tap; an unknown one is no error."""

    tap: str
    op: Literal["untap"] = "untap"


@dataclass(frozen=True, slots=True)
class Picture:
    """Give the newest whole key frame that is newer than `newer_than`; ask the source if there is none.

    `bare` asks for its time of arrival alone.
    """

    stream: str
    newer_than: float | None
    timeout_s: float
    bare: bool = False
    op: Literal["picture"] = "picture"


@dataclass(frozen=True, slots=True)
class Limit:
    """Let all relays of this worker together send at most `uplink_bps`; 0 is no limit."""

    uplink_bps: int
    op: Literal["limit"] = "limit"


@dataclass(frozen=True, slots=True)
class Alive:
    """Answer, if you can: cheaper than all figures, which name every session."""

    op: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Measure:
    """Give all figures."""

    op: Literal["measure"] = "measure"


Request = (
    Configure | Reserve | Open | Restart | Close | Assign | Carry | Tap | Untap | Picture | Limit | Alive | Measure
)


@dataclass(frozen=True, slots=True)
class Figures:
    """The worker's figures."""

    streams: tuple[StreamStats, ...]
    sessions: dict[str, int]
    dropped: dict[str, int]
    loop_lag_ms: float
    modes: dict[str, str]
    lines: tuple[SessionStats, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a request; `ok` False means not found or not possible. A picture's bytes are the message's block."""

    number: int
    ok: bool = True
    port: int = 0
    tcp: bool = False
    codec: str = ""
    arrived_at: float = 0.0
    figures: Figures | None = None
    op: Literal["reply"] = "reply"


@dataclass(frozen=True, slots=True)
class Up:
    """A session has keys and carries media."""

    session: str
    op: Literal["up"] = "up"


@dataclass(frozen=True, slots=True)
class Over:
    """A session is over."""

    session: str
    reason: EndReason
    op: Literal["over"] = "over"


@dataclass(frozen=True, slots=True)
class Changed:
    """A stream's state changed."""

    stream: str
    state: StreamState
    first_frame_s: float | None
    op: Literal["changed"] = "changed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The legs of a stream want these layers."""

    stream: str
    layers: tuple[Layer, ...]
    op: Literal["wanted"] = "wanted"


@dataclass(frozen=True, slots=True)
class Shows:
    """A wall's slot shows something else."""

    session: str
    kind: str
    index: int
    stream: str | None
    showing: Showing
    op: Literal["shows"] = "shows"


@dataclass(frozen=True, slots=True)
class Ask:
    """A numbered request."""

    number: int
    request: Annotated[Request, Field(discriminator="op")]


Answer = Reply | Up | Over | Changed | Wanted | Shows
_asks: TypeAdapter[Ask] = TypeAdapter(Ask)
_answers: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="op")])


def pack_ask(ask: Ask) -> bytes:
    """Encode a request."""
    return _frame(_asks.dump_json(ask), b"")


def pack_answer(answer: Answer, block: bytes = b"") -> bytes:
    """Encode a reply or an event."""
    return _frame(_answers.dump_json(answer), block)


def _frame(text: bytes, block: bytes) -> bytes:
    return _HEAD.pack(len(text), len(block)) + text + block


async def read_ask(reader: asyncio.StreamReader) -> Ask:
    """Read the next request; raises WireError when the other end is gone or spoke nonsense."""
    text, _ = await _read(reader)
    try:
        return _asks.validate_json(text)
    except ValidationError as error:
        raise WireError("a request that does not fit its type") from error


async def read_answer(reader: asyncio.StreamReader) -> tuple[Answer, bytes]:
    """Read the next reply or event with its block; raises WireError."""
    text, block = await _read(reader)
    try:
        return _answers.validate_json(text), block
    except ValidationError as error:
        raise WireError("an answer that does not fit its type") from error


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    try:
        text, block = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if text > MAX_JSON or block > MAX_BLOCK:
            raise WireError("a message over its limit")
        return await reader.readexactly(text), await reader.readexactly(block)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WireError("the other process is gone") from error
