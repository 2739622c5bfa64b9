"""Port `media`: an engine that forwards RTP between WHIP and WHEP without transcoding.

Streams are named `320623/room` (`protocols.ids.StreamId`). The engine knows nothing of users, tiers or tokens: whoever
calls it has checked the right. Every call may be cancelled safely: a session that was being made is then closed.

The contract suite `tests/contracts/media/` runs per capability on every adapter.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from protocols.grain import Grain
from protocols.picture import PictureFigures, Sample


class Capability(StrEnum):
    """What an engine can do; a missing one is answered with NeedsError."""

    PUBLISH = "publish"  # WHIP in
    PLAY = "play"  # WHEP out
    WALL = "wall"  # one peer connection with switchable slots
    LAYERS = "layers"  # main and thumb of one stream, each only while it is watched
    RECORD = "record"  # forwarded packets into a file
    RELAY = "relay"  # WHIP client towards the tier above, WHEP client towards another tier
    STILL = "still"  # newest decoded key frame
    STATS = "stats"
    EVENTS = "events"


class StreamState(StrEnum):
    """State of a stream in the engine."""

    ABSENT = "absent"  # no source
    STARTING = "starting"  # a source is connected, no media yet
    LIVE = "live"  # packets arrive
    STALLED = "stalled"  # a source is connected, packets stopped


class Layer(StrEnum):
    """One encoding of a camera's picture."""

    MAIN = "main"
    THUMB = "thumb"


class SessionKind(StrEnum):
    """Direction and role of one peer connection, seen from the engine."""

    WHIP = "whip"  # a publisher came to us
    WHEP = "whep"  # a viewer came to us
    WALL = "wall"  # a viewer with several slots came to us
    RELAY = "relay"  # we publish to another gateway (WHIP client)
    PULL = "pull"  # we view at another gateway (WHEP client)
    BRIDGE = "bridge"  # one worker of this engine sends a stream to another one; neither viewer nor relay
    BRIDGED = "bridged"  # the other end of a bridge


class EndReason(StrEnum):
    """Why a session ended; log field, metric label and event value."""

    CLOSED = "closed"  # DELETE, or the owner's wish
    REPLACED = "replaced"  # a newer publisher took the stream over
    CONSENT_LOST = "consent_lost"  # RFC 7675: no consent for 30 s
    ICE = "ice"  # never connected
    DTLS = "dtls"  # handshake failed
    REFUSED = "refused"  # the far HTTP end said no
    UNREACHABLE = "unreachable"  # the far HTTP end did not answer
    WORKER_LOST = "worker_lost"  # the media worker died
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """Answer to an offer: `etag` names the ICE session (RFC 9725 section 4.3.1)."""

    session_id: str
    stream: str
    sdp: str
    etag: str


class Showing(StrEnum):
    """What a wall's slot shows, or why it shows nothing."""

    MAIN = "main"
    THUMB = "thumb"
    SOUND = "sound"
    EMPTY = "empty"  # nothing was assigned
    WAITING = "waiting"  # the source is away or has given no key frame yet
    SAVED = "saved"  # left out because the line is too thin for it
    SHED = "shed"  # left out because this machine falls behind
    CODEC = "codec"  # the viewer did not offer the source's codec


@dataclass(frozen=True, slots=True)
class Slot:
    """What shall stand in one slot of a wall.

    `kind` is video or audio; slots are counted per kind, in the order of the offer's m-lines. `stream` None empties the
    slot. `layer` is the best one wished for; a thinner line or a stream without it gives the other. Smaller `priority`
    is served first: 0 command audio, 1 stage, 2 main pictures, 3 thumbs.
    """

    kind: str
    index: int
    stream: str | None
    layer: Layer = Layer.MAIN
    priority: int = 2


@dataclass(frozen=True, slots=True)
class TrickleAnswer:
    """Answer to a PATCH: `sdp_fragment` is set after an ICE restart, else None (204)."""

    sdp_fragment: str | None
    etag: str


@dataclass(frozen=True, slots=True)
class Still:
    """A decoded picture. `frame_age_ms` counts from the arrival of its last packet to the answer.

    `width` and `height` are the camera's, whatever width the JPEG was asked for.
    """

    stream: str
    jpeg: bytes
    width: int
    height: int
    frame_age_ms: int
    arrived_at: float  # monotonic seconds of the engine's host
    mean: float  # luma 0-255
    deviation: float
    thumb: bytes  # grey, protocols.picture.THUMB_WIDTH x THUMB_HEIGHT
    figures: PictureFigures | None = None  # None: an engine that does not measure
    there_at: float | None = None  # arrival of the picture that was there first; None: as `arrived_at`

    @property
    def first_arrival(self) -> float:
        """When a picture that answers the question was there; while others are decoded newer ones take its place."""
        return self.arrived_at if self.there_at is None else min(self.there_at, self.arrived_at)

    @property
    def sample(self) -> Sample:
        """What a judge of pictures is given of it, at its arrival."""
        figures = self.figures
        grain = Grain(figures.grain) if figures is not None and figures.grain else None
        exact = figures.exact if figures is not None else None
        return Sample(self.arrived_at, self.mean, self.deviation, self.thumb, grain=grain, exact=exact)


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One stream. Counters start with the worker; `frame_age_ms` is None before the first frame."""

    stream: str
    state: StreamState
    codec: str | None
    viewers: int
    relays: int
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    lost: int
    frames: int
    key_frames: int
    frame_age_ms: int | None
    key_frame_interval_s: float | None
    frame_rate: float
    audio: bool
    freezes: int = 0  # pauses of the main picture as W3C webrtc-stats counts them, seen on arrival
    freeze_s: float = 0.0
    layers: tuple[Layer, ...] = ()  # layers that arrive
    audio_level: float | None = None  # newest RFC 6464 level, 0 (silence) to 1


@dataclass(frozen=True, slots=True)
class SessionStats:
    """One peer connection. `estimate_bps` is what its line seems to carry; None where nothing was heard yet."""

    session_id: str
    kind: SessionKind
    stream: str
    sent_bps: int
    received_bps: int
    estimate_bps: int | None
    rtt_ms: float | None
    fraction_lost: float | None
    profile: str
    transport: str


@dataclass(frozen=True, slots=True)
class RecordingFigures:
    """One recording that runs, at most a second old; the fields are those of `RecordingEnded`."""

    recording: str
    stream: str
    seconds: float
    octets: int
    lost: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """One worker process. `bridges` are the streams that it sends to other workers."""

    worker: str
    up: bool
    sessions: int
    bridges: int
    loop_lag_ms: float


@dataclass(frozen=True, slots=True)
class EngineStats:
    """All streams, and what the engine dropped by name (`replay`, `spoofed`, `unknown_address`, `malformed`, ...)."""

    streams: tuple[StreamStats, ...]
    sessions: dict[str, int]
    dropped: dict[str, int]
    worker_restarts: int
    loop_lag_ms: float
    modes: dict[str, str] = field(default_factory=dict)  # e.g. {"backend": "compiled", "gso": "on"}
    lines: tuple[SessionStats, ...] = ()
    recordings: tuple[RecordingFigures, ...] = ()
    workers: tuple[WorkerStats, ...] = ()
    bridges: int = 0  # streams brought from one worker to another, each once; in no other figure


@dataclass(frozen=True, slots=True)
class StreamChanged:
    """A stream came, stalled or went, or (`first_frame_s` is set) its source's first key frame came.

    `first_frame_s`: seconds from the publisher's offer to that key frame.
    """

    stream: str
    state: StreamState
    first_frame_s: float | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over and its id is forgotten."""

    session_id: str
    stream: str
    kind: SessionKind
    reason: EndReason


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """A worker died and is being replaced. What other workers carry goes on.

    `streams` had sessions there, whose viewers must come again; `sources` are those of them that must be published
    again; `sessions` are the ids that are forgotten.
    """

    streams: tuple[str, ...]
    sources: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayersWanted:
    """The legs of a stream's viewers and walls (not of relays) follow or wait for these layers now; empty: none."""

    stream: str
    layers: frozenset[Layer]


@dataclass(frozen=True, slots=True)
class SlotChanged:
    """A wall's slot shows something else."""

    session_id: str
    kind: str
    index: int
    stream: str | None
    showing: Showing


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """A recording is over: `reason` is closed, disk, failed, or source_gone (nothing came, there is no file).

    `files` are the names of its parts beside the path that was asked for; `seconds` are those of all parts, gaps
    included, `lost` counts packets that never came.
    """

    recording: str
    stream: str
    reason: str
    seconds: float
    octets: int
    lost: int
    files: tuple[str, ...] = ()


MediaEvent = StreamChanged | SessionEnded | EngineRestarted | LayersWanted | SlotChanged | RecordingEnded


class MediaEngine(Protocol):
    """The engine. Start it with `async with`; errors are BadMediaError, NotFoundError, LinkError, NeedsError."""

    @property
    def backend(self) -> str:
        """Which way packets of viewers go, e.g. `compiled`; before the start the wished one."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do."""
        ...

    async def __aenter__(self) -> "MediaEngine": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def publish(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """Accept a WHIP publisher; an earlier publisher of the stream ends with `replaced`. Raises BadMediaError.

        `client` is the address that the request came from: it decides which addresses of ours the answer names.
        """
        ...

    async def play(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """Accept a WHEP viewer, whether or not the stream has a source yet. Raises BadMediaError."""
        ...

    async def wall(self, offer: str, *, client: str | None = None) -> SessionAnswer:
        """Accept a viewer with up to 25 video slots, all empty at first; `stream` of the answer is empty.

        Every forwardable codec is agreed for each slot, the payload type follows the source. Raises BadMediaError.
        """
        ...

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> None:
        """Change what stands in the slots named, without renegotiation; slots that are not named stay as they are.

        A switched slot goes on with its SSRC, numbers and timestamps, from the last key frame of the new stream. A
        stream need not have a source yet. Raises NotFoundError, BadMediaError for a slot that the wall does not have.
        """
        ...

    async def record(self, stream: str, path: Path, *, layer: Layer = Layer.MAIN) -> str:
        """Record a stream into new files beside `path`; returns the recording's name.

        `path` without its suffix is the stem: the first part is `stem.mp4` (fragmented MP4) or, for VP8, `stem.mkv`
        (Matroska), further ones `stem.2.mp4` and so on. A new part begins where the codec or the parameters
        of the picture change, where sound joins that was not there, and after the death of the recording process.

        It begins at the kept group of pictures, or when the stream comes; it goes on over changes and gaps of the
        source in real time, and whatever was written stays playable whenever the machine dies. The stream must be
        wanted elsewhere: recording asks nobody for it. Raises ConfigError where the directory cannot be written.
        """
        ...

    async def stop_recording(self, recording: str) -> RecordingEnded:
        """Close a recording's file; raises NotFoundError for one that is over."""
        ...

    async def clip(self, stream: str, path: Path, seconds: float, *, layer: Layer = Layer.MAIN) -> RecordingEnded:
        """Record for so many seconds and return the end; cancelled, it closes what there is. Raises as `record`."""
        ...

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        """Take trickled candidates or an ICE restart (RFC 9725 section 4.3). Raises NotFoundError, WrongMomentError."""
        ...

    async def end(self, session_id: str) -> None:
        """End a session; ending an unknown one raises NotFoundError."""
        ...

    async def relay(self, stream: str, whip_url: str, token: str, *, near: bool = False) -> str:
        """Publish `stream` to another gateway; returns the session id once connected. Raises LinkError.

        `near`: to another replica of this gateway. That is no relay in the figures, and no line that is thin.
        """
        ...

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """Let a relay send these layers alone, and sound while there is any; before the first call it sends all.

        With none it stays connected and not one media packet crosses. Relays do not count in `LayersWanted`: whoever
        leases one knows what it carries. Raises NotFoundError.
        """
        ...

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """Fetch `stream` from another gateway by WHEP; returns the session id once connected. Raises LinkError."""
        ...

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """Return the newest decoded picture; `width` makes its JPEG smaller, never larger.

        A key frame is decoded once for each width, however many ask. The source is asked for a key frame if none is
        newer than `newer_than` (monotonic seconds). Raises NotFoundError where no picture comes within `timeout_s`.
        """
        ...

    async def stats(self) -> EngineStats:
        """Return current figures; at most 200 ms old."""
        ...

    def events(self) -> AsyncIterator[MediaEvent]:
        """Yield events from now on; several subscribers may listen. A slow one loses the oldest, counted."""
        ...
