"""Settings of the pictures: ports, engine, addresses told to peers."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gateway.settings.base import Section


class MediaEngineKind(StrEnum):
    """Which engine publishers connect to."""

    EMBEDDED = "embedded"
    JANUS = "janus"


class MediaBackend(StrEnum):
    """How the media worker forwards packets."""

    AUTO = "auto"
    COMPILED = "compiled"
    BATCHED = "batched"
    REFERENCE = "reference"


class IceServerSection(Section):
    """One STUN or TURN server (中继服务器)."""

    url: str = Field(pattern=r'^(stuns?|turns?):[^\s"<>]+$', description="stun:, stuns:, turn: or turns: URI.")
    username: str | None = Field(default=None, pattern=r'^[^"\\\x00-\x1f]+$', description="User of a TURN server.")
    credential: str | None = Field(default=None, pattern=r'^[^"\\\x00-\x1f]+$', description="Its password.")
    secret: str | None = Field(
        default=None, min_length=1, description="Shared secret that makes credentials which end by themselves."
    )
    hours: float = Field(default=12.0, gt=0, description="Life of credentials made from the secret.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.credential is None):
            raise ValueError("username and credential belong together; give both or none")
        if self.secret is not None and self.username is not None:
            raise ValueError("secret and username exclude each other")
        if self.url.startswith("turn") and self.secret is None and self.username is None:
            raise ValueError("a TURN server needs secret, or username and credential")
        return self


class MediaSection(Section):
    """Video: one port per worker carries all peer connections, by UDP, or by TCP where UDP does not pass (视频)."""

    host: str = Field(default="127.0.0.1", description="Address the media worker listens on.")
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="UDP port of the first media worker, each further one has the next number; 0 takes free ones.",
    )
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Processes that forward packets, each on one core: 1 carries about 600 viewers of 1.5 Mbit/s, "
        "0 takes one per core.",
    )
    tcp: bool = Field(
        default=True,
        description="Take connections on the same port number by TCP too, for peers whose firewall lets no UDP pass.",
    )
    advertise: tuple[str, ...] = Field(
        default=(),
        description="Addresses told to browsers and agents; default: host. network=address is told to peers of that "
        'network alone, e.g. ["203.0.113.7", "10.1.0.0/16=10.1.0.5"]. IPv4 and IPv6 may stand side by side; a tier is '
        "reached by a version that both have.",
    )
    ice_servers: tuple[IceServerSection, ...] = Field(
        default=(),
        description="STUN and TURN servers told to browsers and agents, e.g. "
        '[{url = "turn:turn.example:3478", secret = "the static-auth-secret of coturn", hours = 12}]; instead of '
        "secret also username and credential.",
    )
    recording_gib: float = Field(
        default=20.0,
        ge=0,
        description="Room for recordings in GiB; where it is used up, new ones are refused and none is removed.",
    )
    backend: MediaBackend = Field(
        default=MediaBackend.AUTO,
        description="How packets are forwarded: compiled (C, needs a C compiler once), batched (Python), reference "
        "(slow); all send the same datagrams. auto takes compiled where it can be had, else batched.",
    )
    batch_window_ms: float = Field(
        default=1.0,
        ge=0,
        le=5,
        description="Packets that come within so many milliseconds are forwarded together, a whole frame at once.",
    )
    uplink_kbps: int = Field(
        default=0,
        ge=0,
        description="All pictures relayed to other gateways together take at most so many kbit/s; 0 is no limit.",
    )

    engine: MediaEngineKind = Field(
        default=MediaEngineKind.EMBEDDED,
        description="Where publishers connect: embedded, or janus (from 1.4.1 on; no walls, layers and recordings).",
    )
    janus_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="HTTP interface of a Janus that runs elsewhere, e.g. http://10.1.0.6:8088/janus; without it the "
        "gateway runs the program janus itself.",
    )
    janus_secret_file: Path | None = Field(default=None, description="File that holds the api_secret of that Janus.")
    janus_interface: str = Field(
        default="",
        pattern=r"^[0-9A-Fa-f.:]*$",
        description="Address, or its beginning, at which publishers reach the own Janus, never loopback; default: all.",
    )
    janus_heard_at: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9.]+$",
        description="IPv4 address of this machine to which Janus sends the streams as plain RTP: for a Janus elsewhere "
        "one that it reaches, over a line that nobody else reads.",
    )

    @property
    def processes(self) -> int:
        """How many workers there shall be."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of each worker; 0 where any free one will do."""
        return tuple(self.port and self.port + number for number in range(self.processes))
