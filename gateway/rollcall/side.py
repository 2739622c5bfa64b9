"""What a roll call does beside asking: it holds the pictures of the stage, tells counties where they stand, counts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol

from gateway.events import EventBus, RollCallChanged
from gateway.rollcall import phrases
from gateway.rollcall.figures import Figures
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.records import PointRecord, RollCallRecord
from gateway.rollcall.rules.profiles import Profile
from protocols.aio.tasks import Supervisor
from protocols.command import (
    CommandName,
    MediaEcho,
    MediaEchoed,
    Outcome,
    RollCallProbe,
    RollCallStage,
    parse_args,
)
from protocols.errors import LinkError, NotFoundError, SilianError, WrongMomentError
from protocols.ids import is_gateway
from protocols.rollcall import ASIDE, PRESENT, Mode, PointState

logger = logging.getLogger(__name__)
TELL_S: Final = 20.0
LOOK_S: Final = 8.0
ECHO_WITHIN_S: Final = 25.0
TALKING: Final = frozenset({PointState.CONNECTING, PointState.VERIFYING})
LOSS: Final = 0.02
"""More than this is lost: the line is not fit for a call (domain.md 3.5, row 10)."""


class NotCheckedError(SilianError):
    """A node, or this gateway, cannot try it."""

    code: ClassVar[str] = "not_checked"


UNKNOWN: Final = frozenset({"unknown_command", NotCheckedError.code})
"""What nodes say who cannot try it: older ones do not know the command."""


class Lanes(Protocol):
    """The way to the gateways below that ask their counties for us."""

    async def order(self, call: RollCallRecord, profile: Profile, points: Sequence[PointRecord]) -> None:
        """Order the points at their gateways; what cannot be ordered is noted in the point."""
        ...

    async def over(self, call: RollCallRecord) -> None:
        """Tell the tiers between that the call is over."""
        ...


@dataclass(slots=True)
class Side:
    """One for all calls of a gateway."""

    needs: RollCallNeeds
    lanes: Lanes
    figures: Figures
    tasks: Supervisor
    bus: EventBus | None = None
    when_ended: Callable[[RollCallRecord], Awaitable[None]] | None = None
    """Told of each call that ended, to tell people of it."""
    when_unanswered: Callable[[RollCallRecord, PointRecord], Awaitable[None]] | None = None
    """Told of each county whose first round brought no answer."""
    _staged: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    _held: dict[str, set[str]] = field(default_factory=dict)
    _number: int = 0

    # the stage

    def stage(self, call: RollCallRecord, points: Mapping[str, PointRecord]) -> None:
        """Hold the pictures of who stands on stage and who comes next, and tell the counties.

        Who was told so before a restart is not known after it: then all that are connected are told where they stand.
        """
        now = (call.stage, call.upcoming)
        before = self._staged.get(call.id)
        if call.mode is not Mode.SEQUENTIAL or now == before:
            return
        self._staged[call.id] = now
        wanted = {stream for code in now if code is not None and (stream := points[code].stream) is not None}
        held = self._held.setdefault(call.id, set())
        for stream in sorted(held - wanted):
            self.needs.pictures.release(stream, _holder(call))
        for stream in sorted(wanted - held):
            self.needs.pictures.hold(stream, _holder(call))
        self._held[call.id] = wanted
        self._tell_stage(call, points, before)

    def _tell_stage(
        self, call: RollCallRecord, points: Mapping[str, PointRecord], before: tuple[str | None, str | None] | None
    ) -> None:
        if before is None:
            heard = [code for code, point in points.items() if point.state in TALKING]
        else:
            heard = [before[0]] if before[0] is not None else []
        for code in heard:
            if code != call.stage:
                self._tell(call, points[code], "off")
        if call.stage is not None and (before is None or before[0] != call.stage):
            self._tell(call, points[call.stage], "on")

    def leave(self, call: RollCallRecord) -> None:
        """Let go of all pictures that the stage held."""
        for stream in self._held.pop(call.id, set()):
            self.needs.pictures.release(stream, _holder(call))
        self._staged.pop(call.id, None)

    def _tell(self, call: RollCallRecord, point: PointRecord, where: Literal["on", "off"]) -> None:
        if point.owner is None or point.camera is None or (point.state in ASIDE and where == "on"):
            return
        owner = point.owner
        args = RollCallStage(
            roll_call_id=call.id,
            centre=point.centre,
            camera=point.camera,
            stage=where,
            muted=where != "on",
            challenge=point.challenge,
        )

        async def send() -> None:
            try:
                await self.needs.commands.ask(owner, CommandName.ROLLCALL_STAGE, args, within_s=TELL_S)
            except LinkError as error:
                logger.info("county not told", extra={"centre": point.centre, "stage": where, "error": str(error)})

        self.start(f"stage[{point.centre}]", send)

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run something beside the call."""
        self._number += 1
        self.tasks.start(f"{name} {self._number}", work, restart=False)

    # around the call

    def gives_way(self, call: RollCallRecord, seconds: float, centres: Sequence[str]) -> None:
        """Say that a higher tier takes points over."""
        extra = {"roll_call": call.id, "seconds": seconds, "centres": ",".join(centres)}
        logger.warning("roll call gives way", extra=extra)
        if self.bus is not None:
            self.bus.publish(RollCallChanged(call.id))

    async def delegate(self, call: RollCallRecord, profile: Profile, points: Sequence[PointRecord]) -> None:
        """Have gateways below ask points for us."""
        await self.lanes.order(call, profile, points)

    def lane_note(self, point: PointRecord) -> str:
        """Say why a gateway below did not tell the result of a point."""
        link = self.needs.ways.link(point.delegate or "")
        if link is not None and link.reason is not None:
            return phrases.LANE_CUT.format(why=f"{point.delegate} {link.reason}")
        return phrases.LANE_SILENT.format(node=point.delegate)

    def unanswered(self, call: RollCallRecord, point: PointRecord) -> None:
        """Have the people of a county told that it was rung and nobody came."""
        if self.when_unanswered is not None:
            tell = self.when_unanswered
            self.start(f"unanswered[{point.centre}]", lambda: tell(call, point))

    def ended(self, call: RollCallRecord, points: Mapping[str, PointRecord]) -> None:
        """Count a call that ended."""
        self.figures.ended(call, list(points.values()))
        self.start(f"over[{call.id}]", lambda: self.lanes.over(call))
        if self.when_ended is not None:
            told = self.when_ended
            self.start(f"told[{call.id}]", lambda: told(call))
        due = [point for point in points.values() if point.state not in ASIDE]
        present = sum(point.state in PRESENT for point in due)
        extra = {"roll_call": call.id, "due": len(due), "present": present, "state": call.state.value}
        logger.info("roll call ended", extra=extra)

    async def look(self, call: RollCallRecord, point: PointRecord) -> dict[str, Any]:
        """Try to take one picture of a point before the call; nobody is rung for it."""
        stream = point.stream
        if stream is None:
            return {}
        holder = f"{_holder(call)}-probe"
        self.needs.pictures.hold(stream, holder)
        try:
            async with asyncio.timeout(LOOK_S + 1):
                newer = self.needs.clock.monotonic()
                await self.needs.pictures.still(stream, newer_than=newer, timeout_s=LOOK_S)
        except (SilianError, TimeoutError) as error:
            why = self.needs.pictures.why_not(stream) or str(error) or "timeout"
            return {"ready": False, "picture": False, "findings": [phrases.NO_PROBE_PICTURE.format(why=why)]}
        else:
            return {"picture": True} | await self._both_ways(stream)
        finally:
            self.needs.pictures.release(stream, holder)

    async def _both_ways(self, stream: str) -> dict[str, Any]:
        """Tell whether media passes in both directions (domain.md 3.3: 2-way RTP test)."""
        try:
            found = await self.echo(stream)
        except NotCheckedError:
            return {"two_way": None}
        except SilianError as error:
            return {"ready": False, "two_way": None, "findings": [phrases.NO_ECHO.format(why=error)]}
        told = {"two_way": {**found.model_dump(mode="json", include={"packets", "lost", "first_ms"})}}
        if not found.packets:
            return told | {"ready": False, "findings": [phrases.NO_ECHO.format(why=phrases.NOTHING_CAME)]}
        if found.loss > LOSS:
            return told | {"ready": False, "findings": [phrases.LOSSY_ECHO.format(loss=found.loss * 100)]}
        return told

    async def echo(self, stream: str) -> MediaEchoed:
        """Have a county play its own picture back from the gateway that it is linked to.

        Raises NotFoundError for an unknown camera, LinkError, WrongMomentError with what the node says, and
        NotCheckedError where a node cannot do it.
        """
        ways, pictures = self.needs.ways, self.needs.pictures
        camera = next((one for one in ways.cameras() if one.stream == stream), None)
        if camera is None:
            raise NotFoundError(f"no camera {stream}")
        if self.needs.base_url is None:
            raise NotCheckedError("this gateway has no address for nodes")
        hop = ways.next_hop(camera.centre)
        if hop is not None and hop != camera.owner and is_gateway(hop):
            reply = await self.needs.commands.ask(
                hop, CommandName.ROLLCALL_PROBE, RollCallProbe(stream=stream), within_s=ECHO_WITHIN_S
            )
        else:
            granted = pictures.play_pass(stream, camera.owner)
            asked = MediaEcho(stream=stream, whep_url=f"{self.needs.base_url()}{granted.path}", token=granted.token)
            reply = await self.needs.commands.ask(camera.owner, CommandName.MEDIA_ECHO, asked, within_s=ECHO_WITHIN_S)
        if reply.code in UNKNOWN:
            raise NotCheckedError(reply.detail)
        if reply.outcome is not Outcome.DONE:
            raise WrongMomentError(reply.detail or reply.code or reply.outcome.value)
        return parse_args(MediaEchoed, reply.result)


def _holder(call: RollCallRecord) -> str:
    return f"rollcall-stage-{call.id}"
