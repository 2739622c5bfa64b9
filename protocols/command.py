"""Commands that go down and replies that come back up.

A command is an event like any other, on the urgent lane, with a target node, the gateway that gave it (`origin`) and
a deadline. **An expired command is answered `expired`, never executed late.** A gateway on the way that is not the
target passes the command to the next hop; a gateway that is not the origin passes the reply up.
Executing twice must be harmless: the receiver remembers `command_id`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.duty import DutyRole
from protocols.envelope import event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.health import BoxHealth, CameraHealth
from protocols.ids import CameraName, CentreCode, NodeId, StreamId, Ulid

Model = TypeVar("Model", bound=BaseModel)
COMMAND = event_type("command")
REPLY = event_type("command", "reply")
CALL_ENDED = event_type("call", "ended")
"""A callee hung up: goes up to the gateway that called, with the fields of `CallEnd`."""
ROLLCALL_DETAILS = event_type("rollcall", "details")
"""A county says more of its answer afterwards: goes up with the fields of `RollCallDetails`."""


class CommandName(StrEnum):
    """What can be asked of a node."""

    MEDIA_PUBLISH = "media.publish"  # MediaPublish; idempotent, also renews the lease
    MEDIA_UNPUBLISH = "media.unpublish"  # MediaUnpublish
    MEDIA_ECHO = "media.echo"  # MediaEcho -> MediaEchoed
    ROLLCALL_RING = "rollcall.ring"  # RollCallRing -> RollCallAnswer
    ROLLCALL_STAGE = "rollcall.stage"  # RollCallStage
    ROLLCALL_RESULT = "rollcall.result"  # bulletin.UnitResult
    ROLLCALL_BULLETIN = "rollcall.bulletin"  # bulletin.BulletinSent
    ROLLCALL_ORDER = "rollcall.order"  # RollCallOrder -> RollCallOrdered
    ROLLCALL_STEER = "rollcall.steer"  # RollCallSteer
    ROLLCALL_INSPECT = "rollcall.inspect"  # RollCallInspect
    ROLLCALL_PROBE = "rollcall.probe"  # RollCallProbe -> MediaEchoed
    ROLLCALL_CHALLENGE = "rollcall.challenge"  # RollCallChallenge
    CALL_RING = "call.ring"  # CallRing -> CallAnswer
    CALL_END = "call.end"  # CallEnd
    REPORT_ANSWER = "report.answer"  # ReportAnswer
    ORDER_SENT = "order.sent"  # order.OrderSent


class Outcome(StrEnum):
    """How a command ended."""

    DONE = "done"
    REFUSED = "refused"  # the node will not; `code` says why
    FAILED = "failed"  # the node tried
    EXPIRED = "expired"  # arrived or finished after its deadline


class Command(BaseModel):
    """Payload of `command`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    command_id: Ulid
    name: str = Field(max_length=64)
    target: NodeId
    origin: NodeId
    deadline: AwareDatetime
    args: dict[str, Any] = Field(default_factory=dict)

    def expired(self, now: datetime) -> bool:
        """Tell whether the deadline has passed at `now`."""
        return now >= self.deadline


class Reply(BaseModel):
    """Payload of `command.reply`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    command_id: Ulid
    name: str = Field(max_length=64)
    target: NodeId
    origin: NodeId
    outcome: Outcome
    code: str | None = Field(default=None, max_length=64)
    detail: str = Field(default="", max_length=1000)
    result: dict[str, Any] = Field(default_factory=dict)


class Args(BaseModel):
    """Base of typed arguments and results; unknown fields are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class MediaPublish(Args):
    """Publish `stream` by WHIP until `until`; repeated to renew, and at once when `layers` change.

    `fresh` asks for a new session even if one runs. `layers` are those that somebody watches: the first video m-line of
    a publisher's offer is `main`, the second `thumb`, and no other layer is encoded or sent. None (an older gateway)
    means main alone; none at all is asked only of nodes that can rest (see `MediaPublished`). `trace` is the W3C
    traceparent of the click that began it.
    """

    stream: StreamId
    whip_url: str = Field(max_length=2048)
    token: str = Field(max_length=4096)
    until: AwareDatetime
    fresh: bool = False
    layers: tuple[Literal["main", "thumb"], ...] | None = None
    trace: str | None = Field(default=None, max_length=64)


class HopTiming(Args):
    """What one node's hop of a stream took, in milliseconds since it asked the next one; None: not reached yet."""

    node: NodeId
    asked_at: AwareDatetime | None = None
    answered_ms: int | None = Field(default=None, ge=0)
    connected_ms: int | None = Field(default=None, ge=0)
    packet_ms: int | None = Field(default=None, ge=0)
    picture_ms: int | None = Field(default=None, ge=0)


class MediaPublished(Args):
    """Result of `media.publish`: the hops from here down, as far as they are known, and what this node can do.

    `rests`: asked for no layer at all, it keeps its session and sends nothing; a node that does not say so is given
    `media.unpublish`.
    """

    hops: tuple[HopTiming, ...] = ()
    rests: bool = False


class MediaUnpublish(Args):
    """Stop publishing `stream`."""

    stream: StreamId


class MediaEcho(Args):
    """Play the own `stream` back by WHEP for so many `seconds`, and count: its packets go up and come down."""

    stream: StreamId
    whep_url: str = Field(max_length=2048)
    token: str = Field(max_length=4096)
    seconds: float = Field(default=2.0, gt=0, le=10)


class MediaEchoed(Args):
    """RTP packets that came back and that did not (RFC 3550); `first_ms` from the request to the first, None: none."""

    packets: int = Field(ge=0)
    lost: int = Field(default=0, ge=0)
    first_ms: int | None = Field(default=None, ge=0)

    @property
    def loss(self) -> float:
        """Share of the packets that was lost."""
        return self.lost / (self.packets + self.lost) if self.packets else 0.0


class RosterName(Args):
    """One person whom the roster plans for now; without phones."""

    name: str = Field(min_length=1, max_length=32)
    role: DutyRole


class RollCallRing(Args):
    """Ring one point of a roll call.

    `caller` (a person) and `caller_centre` are shown at the county, `kind` is that of the roll call, `roster` fills the
    answer page in, `people_due` is how many must be there (domain.md 3.5 row 7). `attempt` numbers the rings of the
    call: one that comes again, because the gateway was started anew, is the same ring (0: an older gateway).
    """

    roll_call_id: Ulid
    centre: CentreCode
    camera: CameraName
    challenge: str | None = Field(default=None, max_length=8)
    drill: bool = False
    caller: str = Field(default="", max_length=64)
    caller_centre: CentreCode | None = None
    caller_centre_name: str = Field(default="", max_length=64)
    kind: str = Field(default="", max_length=16)
    roster: tuple[RosterName, ...] = Field(default=(), max_length=40)
    people_due: int | None = Field(default=None, ge=0, le=99)
    attempt: int = Field(default=0, ge=0)


class RollCallAnswer(Args):
    """What the county's node answers: who, and the owner's own view of picture and box.

    `by` tells a person from a box that answers by policy (None: an older node). Leader and head count are what the
    county says; the roll call compares them with the roster.
    """

    answered_by: str = Field(max_length=64)
    answered_at: AwareDatetime
    camera: CameraHealth
    box: BoxHealth = BoxHealth()
    by: Literal["box", "person"] | None = None
    leader: str = Field(default="", max_length=32)
    people: int | None = Field(default=None, ge=0, le=99)
    note: str = Field(default="", max_length=500)


class RollCallStage(Args):
    """Tell a county where it stands in a roll call: `on` stage, `off` it, or `over` with its `state`.

    `muted`: whether the others cannot hear it. A challenge number that came late comes this way.
    """

    roll_call_id: Ulid
    centre: CentreCode
    camera: CameraName
    stage: Literal["on", "off", "over"]
    muted: bool = True
    challenge: str | None = Field(default=None, max_length=8)
    state: str = Field(default="", max_length=24)


class RollCallDetails(Args):
    """What a county adds to its answer, or corrects in it; the newest replaces the ones before."""

    roll_call_id: Ulid
    centre: CentreCode
    answered_by: str = Field(max_length=64)
    leader: str = Field(default="", max_length=32)
    people: int | None = Field(default=None, ge=0, le=99)
    note: str = Field(default="", max_length=500)
    at: AwareDatetime


class RollCallOrder(Args):
    """Have a gateway call its counties in a roll call of the tier above; its results go up as `rollcall.point`.

    `roll_call_id` is the id at the gateway that began it, `root_centre` that gateway's centre (None: an older gateway,
    then it is taken for `caller_centre`), `rules` its profile. Ordered again it changes nothing.
    """

    roll_call_id: Ulid
    kind: str = Field(max_length=16)
    mode: Literal["parallel", "sequential"] = "parallel"
    centres: tuple[CentreCode, ...] = Field(min_length=1, max_length=4000)
    caller: str = Field(default="", max_length=64)
    caller_centre: CentreCode
    rules: dict[str, Any] = Field(default_factory=dict)
    drill: bool = False
    root_centre: CentreCode | None = None


class RollCallOrdered(Args):
    """The call that the gateway began for it."""

    roll_call_id: Ulid


class RollCallSteer(Args):
    """Steer a call that was ordered: `pause`, `resume`, `finish` or `cancel`."""

    roll_call_id: Ulid
    deed: Literal["pause", "resume", "finish", "cancel"]
    why: str = Field(default="", max_length=500)


class RollCallProbe(Args):
    """Have the gateway below try the media path of a camera in both directions (`media.echo`), before a roll call."""

    stream: StreamId


class RollCallChallenge(Args):
    """Have the gateway that asks `centre` for us show the challenge number, or tell it whether the number came back.

    `confirmed` None: show it. `by` is the person of the tier above, `320000/zhang`; whoever speaks first decides.
    """

    roll_call_id: Ulid
    centre: CentreCode
    confirmed: bool | None = None
    by: str = Field(max_length=64)


class RollCallInspect(Args):
    """Tell the gateways between that a higher tier calls their counties itself (上级正在抽查), or that it is `over`.

    A gateway's own calls give way for the counties named, until it is over or `until`.
    """

    roll_call_id: Ulid
    caller_centre: CentreCode
    centres: tuple[CentreCode, ...] = Field(min_length=1, max_length=4000)
    kind: str = Field(max_length=16)
    until: AwareDatetime
    over: bool = False


class CallRing(Args):
    """Ring a county for a dispatch call. The callee plays `caller_stream` by WHEP and publishes its own side."""

    call_id: Ulid
    centre: CentreCode
    camera: CameraName
    caller: str = Field(max_length=64)
    caller_centre: CentreCode
    caller_centre_name: str = Field(default="", max_length=64)
    caller_stream: StreamId
    whep_url: str = Field(max_length=2048)
    token: str = Field(max_length=4096)


class CallAnswer(Args):
    """The callee's answer: which stream shows and carries its side."""

    answered_by: str = Field(max_length=64)
    answered_at: AwareDatetime
    callee_stream: StreamId


class CallEnd(Args):
    """Hang up. `reason`: hangup, no_answer, busy, declined, link, timeout, restart."""

    call_id: Ulid
    reason: str = Field(default="hangup", max_length=32)


def parse_command(data: dict[str, Any]) -> Command:
    """Read a command's payload; raises BadSchemaError."""
    return _read(Command, data)


def parse_reply(data: dict[str, Any]) -> Reply:
    """Read a reply's payload; raises BadSchemaError."""
    return _read(Reply, data)


def parse_args(kind: type[Model], args: dict[str, Any]) -> Model:
    """Read typed arguments or a typed result; raises BadSchemaError."""
    return _read(kind, args)


def _read(kind: type[Model], data: dict[str, Any]) -> Model:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
