"""Health: presence of a node, its heartbeat, the state of a link, and the catalogue of its cameras.

Every ending of a link has one name (`LinkReason`), the same in log, metric, API and on the screen.
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from protocols.envelope import event_type
from protocols.ids import CameraName, CentreCode, NodeId, Ulid
from protocols.sharing import Share

HEARTBEAT = event_type("node", "heartbeat")
CATALOGUE = event_type("node", "catalogue")
LINK_STATE = event_type("link", "state")

HEARTBEAT_S = 5.0
"""Design section 4, Presence: a heartbeat each 5 s."""
WILL_DELAY_S = 10
"""Design section 4, Presence: the broker speaks a node's last will after 10 s."""
SILENCE_S = 15.0
"""Three missed heartbeats: the link is down with `no_heartbeat`."""


class LinkReason(StrEnum):
    """Why a link is down (design section 2)."""

    TIMEOUT = "timeout"
    DTLS = "dtls"
    ICE = "ice"
    TLS = "tls"
    AUTH = "auth"
    PEER_CLOSED = "peer_closed"
    TAKEOVER = "takeover"
    NO_HEARTBEAT = "no_heartbeat"
    AGENT_STOPPED = "agent_stopped"


class LinkStatus(StrEnum):
    """State of a link: `never` = registered and not yet seen."""

    UP = "up"
    DOWN = "down"
    NEVER = "never"


class Verdict(StrEnum):
    """What a picture check found. `unproven`: nothing moves, no noise, no clock; calls for the challenge number."""

    LIVE = "live"
    BLACK = "black"
    FROZEN = "frozen"
    COVERED = "covered"
    NO_PICTURE = "no_picture"
    UNPROVEN = "unproven"


class CameraHealth(BaseModel):
    """One camera's picture, as its owner judges it. `frame_age_ms` counts from the newest frame."""

    model_config = ConfigDict(frozen=True, extra="allow")

    verdict: Verdict
    frame_age_ms: int | None = None
    checked_at: AwareDatetime | None = None
    fault: str | None = None


class BoxHealth(BaseModel):
    """The machine under a node. Ratios are 0 to 1; sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    cpu_ratio: float | None = None
    memory_ratio: float | None = None
    disk_free_bytes: int | None = None
    temperature_celsius: float | None = None
    uptime_s: float | None = None
    spool_records: int = 0
    spool_oldest_at: AwareDatetime | None = None
    spool_bytes: int = 0
    on_battery: bool | None = None
    battery_ratio: float | None = None


class Heartbeat(BaseModel):
    """Payload of `node.heartbeat` (telemetry lane, each 5 s): the node's own time, its box, its cameras.

    `rtt_ms` is the round trip of the heartbeat before, measured by the node's end of the link.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    node: NodeId
    sent_at: AwareDatetime
    number: int = Field(ge=0)
    box: BoxHealth = BoxHealth()
    cameras: dict[CameraName, CameraHealth] = Field(default_factory=dict)
    publishing: tuple[CameraName, ...] = ()
    rtt_ms: float | None = Field(default=None, ge=0)


class Presence(BaseModel):
    """Retained on the state topic. The last will says offline with `peer_closed`; a clean stop says `agent_stopped`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    node: NodeId
    online: bool
    reason: LinkReason | None = None
    session: Ulid
    version: str = ""
    at: AwareDatetime


class CameraInfo(BaseModel):
    """One camera in the catalogue. `label` is shown on the picture's name plate (录像演示).

    `share` is the highest tier that may see it; an older agent shares with all.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    centre: CentreCode
    name: CameraName
    title: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    label: str | None = Field(default=None, max_length=32)
    foreign_ids: dict[str, str] = Field(default_factory=dict)
    share: Share = Share.NATION


class Catalogue(BaseModel):
    """Payload of `node.catalogue` (live lane): all cameras of one node; replaces that node's earlier catalogue."""

    model_config = ConfigDict(frozen=True, extra="allow")

    node: NodeId
    version: str = ""
    cameras: tuple[CameraInfo, ...] = ()


class LinkState(BaseModel):
    """Payload of `link.state` (live lane): a gateway tells the tiers above how one of its links is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    gateway: NodeId
    node: NodeId
    status: LinkStatus
    reason: LinkReason | None = None
    since: AwareDatetime
    version: str = ""
