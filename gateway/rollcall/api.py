"""HTTP of the roll-call room: planning, conducting, reading."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from gateway.rollcall.ledger import BEFORE
from gateway.rollcall.records import RollCall
from gateway.rollcall.rules.profiles import Order, Profile
from gateway.rollcall.service import PAGE, Planned, RollCallService
from gateway.rollcall.verdicts import Change
from gateway.rollcall.views import RollCallView, view
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.errors import NotFoundError
from protocols.ids import CentreCode
from protocols.rollcall import AbsenceReason, Cause, Check, Mode, PointState, RollCallKind

STARTERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER)
CONDUCTORS = (Role.CALLER, Role.DUTY_OFFICER)
SEERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER, Role.OPERATIONS)
KEEPERS = (Role.CALLER,)
"""Who may see a random call before it begins, and change profiles and schedules."""
Why = Annotated[str, Field(min_length=1, max_length=500)]


def _plannable(kind: RollCallKind) -> RollCallKind:
    if kind is RollCallKind.RELAY:
        raise ValueError("only the tier above begins a relayed call")
    return kind


class StartBody(BaseModel):
    """What to ring; nothing named = all counties of the subtree. `at`: later, else now.

    `count` draws so many by lot. `through`: `straight` asks the counties from here, `lanes` has the gateways between
    ask theirs at the same time; `auto` takes lanes for scored calls of several counties. `excused`: code and reason.
    `order`: another than the profile's; `rainfall` takes what alarms and warnings tell when the call is planned.
    """

    kind: Annotated[RollCallKind, AfterValidator(_plannable)] = RollCallKind.DAILY
    mode: Mode = Mode.PARALLEL
    centres: list[CentreCode] | None = Field(default=None, max_length=4000)
    at: AwareDatetime | None = None
    profile: str = Field(default="default", max_length=32)
    drill: bool = False
    count: int | None = Field(default=None, ge=1, le=4000)
    through: Literal["auto", "straight", "lanes"] = "auto"
    order: Order | None = None
    excused: dict[CentreCode, Why] = Field(default_factory=dict, max_length=4000)


class NextBody(BaseModel):
    """Whom to name; nobody = the next in order."""

    centre: CentreCode | None = None


class WhyBody(BaseModel):
    """A reason, which is a must where a person overrules the course of a call."""

    why: Why


class MaybeWhy(BaseModel):
    """A reason that may be given."""

    why: str = Field(default="", max_length=500)


class CheckBody(BaseModel):
    """What a caller found himself: leader, dress, business answer and the like."""

    checks: list[Check] = Field(default_factory=list, max_length=20)


class VerdictBody(CheckBody):
    """A person's verdict; `why` is kept for ever, and so is the verdict that it replaces."""

    state: Literal[
        PointState.PASSED,
        PointState.PASSED_WITH_ISSUES,
        PointState.PASSED_LATE,
        PointState.FAILED,
        PointState.ABSENT,
        PointState.UNREACHABLE,
        PointState.EXCUSED,
    ]
    reason: AbsenceReason | None = None
    cause: Cause | None = None
    why: Why


class ChallengeBody(BaseModel):
    """Nothing: show a challenge number at the far side. `confirmed`: whether it came back, as a person saw or heard."""

    confirmed: bool | None = None


class AnswerBody(BaseModel):
    """What the county said, as the caller heard it."""

    model_config = ConfigDict(extra="forbid")

    answered_by: str = Field(default="", max_length=64)
    leader: str = Field(default="", max_length=32)
    people: int | None = Field(default=None, ge=0, le=99)
    note: str = Field(default="", max_length=500)


class ProfileView(BaseModel):
    """A profile under its name; version 0 is the one of the settings."""

    name: str
    version: int
    at: datetime | None = None
    by: str = ""
    rules: Profile


class RevisionView(BaseModel):
    """One change of a verdict that stood."""

    centre: str
    number: int
    at: datetime
    by: str
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]


class InspectionView(BaseModel):
    """A higher tier calls `centres` itself (上级正在抽查)."""

    roll_call_id: str
    by_centre: str
    centres: list[str]
    kind: str
    began_at: datetime
    until: datetime


def routes(service: RollCallService) -> APIRouter:
    """Return all routes of the room."""
    api = APIRouter(prefix="/api/v1/roll-calls", tags=["roll calls"])
    _plan(api, service)
    _profiles(api, service)
    _read(api, service)
    _conduct(api, service)
    _points(api, service)
    _ask(api, service)
    return api


def _shown(service: RollCallService, call: RollCall) -> RollCallView:
    return view(call, service.conducted(call.record.id))


def _hidden(call: RollCall, caller: Caller) -> bool:
    """Tell whether a call must not be known yet: a random check before it begins (domain.md 3.1)."""
    return call.record.kind is RollCallKind.RANDOM and call.record.state in BEFORE and not caller.has(*KEEPERS)


def _plan(api: APIRouter, service: RollCallService) -> None:
    @api.post("", status_code=201)
    async def start(body: StartBody, caller: Annotated[Caller, require(*STARTERS)]) -> RollCallView:
        """Ring all counties of the subtree at once, or the named ones, now or later."""
        wanted = Planned(caller.user, **{name: getattr(body, name) for name in StartBody.model_fields})
        return _shown(service, await service.plan(wanted))

    @api.get("")
    async def page(
        caller: Annotated[Caller, require(*EVERYBODY)],
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> dict[str, list[RollCallView] | str | None]:
        """List roll calls, the newest first."""
        calls = await service.page(cursor, limit)
        shown = [_shown(service, call) for call in calls if not _hidden(call, caller)]
        return {"items": shown, "next": calls[-1].record.id if len(calls) == limit else None}

    @api.get("/inspections")
    async def inspections(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[InspectionView]]:
        """List what higher tiers call in this subtree just now."""
        return {"items": [InspectionView.model_validate(one, from_attributes=True) for one in service.upper()]}


def _profiles(api: APIRouter, service: RollCallService) -> None:
    @api.get("/profiles")
    async def profiles(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[ProfileView]]:
        """List the newest version of each profile."""
        stored = [
            ProfileView(
                name=row.name, version=row.version, at=row.at, by=row.by, rules=Profile.model_validate(row.rules)
            )
            for row in await service.ledger.profiles()
        ]
        if not any(one.name == "default" for one in stored):
            version, rules = await service.profile("default")
            stored.insert(0, ProfileView(name="default", version=version, rules=rules))
        return {"items": stored}

    @api.put("/profiles/{name}")
    async def put_profile(
        name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")],
        rules: Profile,
        caller: Annotated[Caller, require(*KEEPERS)],
    ) -> ProfileView:
        """Store a new version of a profile; calls that run keep theirs."""
        version = await service.ledger.store_profile(name, rules.model_dump(mode="json"), by=caller.user)
        return ProfileView(name=name, version=version, by=caller.user, rules=rules)


def _read(api: APIRouter, service: RollCallService) -> None:
    @api.get("/{roll_call_id}")
    async def get(roll_call_id: str, caller: Annotated[Caller, require(*EVERYBODY)]) -> RollCallView:
        """Return one roll call."""
        return _shown(service, await _known(service, roll_call_id, caller))

    @api.get("/{roll_call_id}/points/{centre}/still", response_class=Response)
    async def still(roll_call_id: str, centre: str, _: Annotated[Caller, require(*SEERS)]) -> Response:
        """Return the kept picture of one point."""
        content = await service.still(roll_call_id, centre)
        return Response(content, 200, {"Cache-Control": "private, max-age=86400"}, media_type="image/jpeg")

    @api.get("/{roll_call_id}/revisions")
    async def revisions(
        roll_call_id: str, caller: Annotated[Caller, require(*EVERYBODY)], centre: CentreCode | None = None
    ) -> dict[str, list[RevisionView]]:
        """List the changes of verdicts that stood."""
        await _known(service, roll_call_id, caller)
        found = await service.revisions(roll_call_id, centre)
        return {"items": [RevisionView.model_validate(one, from_attributes=True) for one in found]}


async def _known(service: RollCallService, roll_call_id: str, caller: Caller) -> RollCall:
    call = await service.get(roll_call_id)
    if _hidden(call, caller):
        raise NotFoundError(f"no roll call {roll_call_id}")
    return call


def _conduct(api: APIRouter, service: RollCallService) -> None:
    @api.post("/{roll_call_id}/next")
    async def next_(roll_call_id: str, body: NextBody, caller: Annotated[Caller, require(*CONDUCTORS)]) -> RollCallView:
        """Name the next centre of a call one after the other, or the given one."""
        await service.act(roll_call_id, "next", by=caller.user, centre=body.centre)
        return _shown(service, await service.get(roll_call_id))

    @api.post("/{roll_call_id}/seat")
    async def seat(roll_call_id: str, caller: Annotated[Caller, require(*CONDUCTORS)]) -> RollCallView:
        """Take the caller's seat; the call goes on as it is."""
        await service.seat(roll_call_id, by=caller.user)
        return _shown(service, await service.get(roll_call_id))

    @api.post("/{roll_call_id}/cancel")
    async def cancel(roll_call_id: str, body: WhyBody, caller: Annotated[Caller, require(*CONDUCTORS)]) -> RollCallView:
        """End a call without a result."""
        await service.act(roll_call_id, "cancel", by=caller.user, why=body.why)
        return _shown(service, await service.get(roll_call_id))

    def steer(deed: Literal["start", "pause", "resume", "finish"], sentence: str) -> None:
        async def route(
            roll_call_id: str, caller: Annotated[Caller, require(*CONDUCTORS)], body: MaybeWhy | None = None
        ) -> RollCallView:
            await service.act(roll_call_id, deed, by=caller.user, why=body.why if body is not None else "")
            return _shown(service, await service.get(roll_call_id))

        route.__doc__ = sentence
        api.post(f"/{{roll_call_id}}/{deed}", name=deed)(route)

    steer("start", "Begin a planned call now.")
    steer("pause", "Open no more rounds; those under way go on.")
    steer("resume", "Go on after a pause.")
    steer("finish", "End the make-up, or the whole call, now: what is open gets its final state.")


def _points(api: APIRouter, service: RollCallService) -> None:
    at = "/{roll_call_id}/points/{centre}"

    @api.post(f"{at}/verdict")
    async def verdict(
        roll_call_id: str, centre: CentreCode, body: VerdictBody, caller: Annotated[Caller, require(*CONDUCTORS)]
    ) -> RollCallView:
        """Give a verdict, or change the one that stands; the former one stays readable."""
        change = Change(body.state, body.reason, body.cause, tuple(body.checks) or None)
        await service.decide(roll_call_id, centre, change, by=caller.user, why=body.why)
        return _shown(service, await service.get(roll_call_id))

    def aside(name: str, state: PointState, sentence: str) -> None:
        async def route(
            roll_call_id: str, centre: CentreCode, body: WhyBody, caller: Annotated[Caller, require(*CONDUCTORS)]
        ) -> RollCallView:
            await service.set_aside(roll_call_id, centre, state, by=caller.user, why=body.why)
            return _shown(service, await service.get(roll_call_id))

        route.__doc__ = sentence
        api.post(f"{at}/{name}", name=name)(route)

    aside("excuse", PointState.EXCUSED, "Excuse a county: approved leave or a planned outage with its ticket.")
    aside("skip", PointState.SKIPPED, "Skip a county in this call.")


def _ask(api: APIRouter, service: RollCallService) -> None:
    at = "/{roll_call_id}/points/{centre}"

    @api.post(f"{at}/retest")
    async def retest(
        roll_call_id: str, centre: CentreCode, caller: Annotated[Caller, require(*CONDUCTORS)]
    ) -> RollCallView:
        """Ask a county once more, say after it has mended its microphone."""
        await service.retest(roll_call_id, centre, by=caller.user)
        return _shown(service, await service.get(roll_call_id))

    @api.post(f"{at}/challenge")
    async def challenge(
        roll_call_id: str, centre: CentreCode, body: ChallengeBody, caller: Annotated[Caller, require(*CONDUCTORS)]
    ) -> RollCallView:
        """Show a challenge number at the far side, or say whether it came back."""
        await service.challenge(roll_call_id, centre, confirmed=body.confirmed, by=caller.user)
        return _shown(service, await service.get(roll_call_id))

    @api.post(f"{at}/answer")
    async def answer(
        roll_call_id: str, centre: CentreCode, body: AnswerBody, caller: Annotated[Caller, require(*CONDUCTORS)]
    ) -> RollCallView:
        """Write down what the county said, say by telephone."""
        said = {name: value for name, value in body.model_dump().items() if value not in {None, ""}}
        await service.answered(roll_call_id, centre, said, by=caller.user)
        return _shown(service, await service.get(roll_call_id))
