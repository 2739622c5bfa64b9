"""Roll calls: plan, start, conduct, go on after a restart, read.

A point is written at every step; `RollCallChanged` fires after each commit. One county is in one roll call at a time,
and the call lives here, not in a browser: whoever may conduct it can take the seat at any moment.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, Self

from gateway.events import CallPasses, EventBus
from gateway.ports.store import Reader
from gateway.rollcall import phrases
from gateway.rollcall.conductor import Conductor, Deed
from gateway.rollcall.details import CountyDetails, take_in
from gateway.rollcall.figures import Figures
from gateway.rollcall.lanes import Inspection, Inspections, Results, TierLanes
from gateway.rollcall.ledger import Ledger
from gateway.rollcall.lending import Lending
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.ordering import Ordering
from gateway.rollcall.records import PointRecord, Revision, RollCall, RollCallRecord
from gateway.rollcall.rules.draw import Draw
from gateway.rollcall.rules.profiles import Order, Profile
from gateway.rollcall.side import Side
from gateway.rollcall.verdicts import Change, change_verdict
from gateway.rollcall.ways import delegate_of, due_centres, point_of, way_to
from protocols.aio.clock import new_ulid
from protocols.aio.tasks import Supervisor
from protocols.command import (
    Command,
    RollCallChallenge,
    RollCallInspect,
    RollCallOrder,
    RollCallOrdered,
    RollCallProbe,
    RollCallSteer,
    parse_args,
)
from protocols.errors import BadInputError, NotFoundError, WrongMomentError
from protocols.rollcall import UNDER_WAY, Mode, PointState, RollCallKind, SessionState
from protocols.tiers import Centre

__all__ = ["PAGE", "Change", "Planned", "RollCallService", "Verdicts"]

logger = logging.getLogger(__name__)
PAGE: Final = 50
EXPIRE_S: Final = 5.0
TOLD_AGAIN: Final = 10
STRAIGHT: Final = frozenset({RollCallKind.RANDOM, RollCallKind.TEST, RollCallKind.MAKEUP})
"""Kinds that are asked straight through all tiers: it is the county itself that shall be seen from here."""
Through = Literal["auto", "straight", "lanes"]
Verdicts = Literal["pause", "resume", "next", "finish", "cancel", "start"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What a person, a schedule or the tier above wants.

    `at` None: now. `count`: draw so many of the centres. `order` None: that of the profile.
    """

    by: str
    kind: RollCallKind = RollCallKind.DAILY
    mode: Mode = Mode.PARALLEL
    centres: Sequence[str] | None = None
    at: datetime | None = None
    profile: str = "default"
    drill: bool = False
    count: int | None = None
    through: Through = "auto"
    schedule_id: str | None = None
    seed: str | None = None
    trigger: dict[str, Any] | None = None
    makeup_of: str | None = None
    upper_id: str | None = None
    upper_node: str | None = None
    root_centre: str | None = None
    rules: dict[str, Any] | None = None
    order: Order | None = None
    excused: dict[str, str] = field(default_factory=dict)


class RollCallService:
    """The roll-call room. Use it with `async with`: entering resumes what a restart interrupted."""

    def __init__(self, needs: RollCallNeeds, *, profile: Profile | None = None, bus: EventBus | None = None) -> None:
        """`profile` is the one called `default` until somebody stores another. The clock must be the media engine's."""
        self._needs = needs
        self._store = needs.store
        self._ways = needs.ways
        self._clock = needs.clock
        self._default = profile or Profile()
        self.ledger = Ledger(needs.store, needs.commands, needs.ways.own().code)
        self._ordering = Ordering(needs.store, self.ledger, needs.signals)
        self._tasks = Supervisor("rollcall", clock=needs.clock)
        self._figures = Figures(needs.metrics)
        self._lanes = TierLanes(needs, self.ledger)
        self.side = Side(needs, self._lanes, self._figures, self._tasks, bus)
        self.inspections = Inspections(needs, bus)
        self.results = Results(self.ledger, self, needs.ways)
        self.details = CountyDetails(self.ledger, self)
        self._conductors: dict[str, Conductor] = {}
        self._taken_up = asyncio.Event()
        self._beside: dict[str, Callable[[], Awaitable[None]]] = {}
        self.lending = Lending(needs, self.inspections, self._conductors, self.side)
        if bus is not None:
            bus.listen(CallPasses, self.lending.call_passes)

    async def __aenter__(self) -> Self:
        await self.inspections.load()
        for roll_call_id in await self.ledger.alive():
            logger.info("roll call resumed", extra={"roll_call": roll_call_id})
            self._conduct(await self.ledger.get(roll_call_id))
        self._taken_up.set()
        self._tasks.start("inspections", self._expire)
        for name, work in self._beside.items():
            self._tasks.start(name, work)
        self._tasks.start("told again", self._tell_again, restart=False)
        self._tasks.start("taken up", self._take_up, restart=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()

    def beside(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have something run as long as the room does."""
        self._beside[name] = work

    def when_ended(self, tell: Callable[[RollCall], Awaitable[None]]) -> None:
        """Have `tell` take each call that ended, and after a restart those that ended shortly before it."""

        async def told(record: RollCallRecord) -> None:
            await tell(await self.ledger.get(record.id))

        self.side.when_ended = told

    async def _take_up(self) -> None:
        """Give way or go on where a gateway that was killed could not do so any more."""
        for conductor in list(self._conductors.values()):
            await conductor.begun()
        await self.lending.settle()

    async def _tell_again(self) -> None:
        for call in await self.ledger.page(None, TOLD_AGAIN):
            if self.side.when_ended is not None and call.record.ended_at is not None:
                await self.side.when_ended(call.record)

    # planning

    async def start(
        self,
        *,
        by: str,
        kind: RollCallKind = RollCallKind.DAILY,
        centres: Sequence[str] | None = None,
        drill: bool = False,
    ) -> RollCall:
        """Ring the named counties, or all of the subtree. Raises NotFoundError, BadInputError, WrongMomentError."""
        return await self.plan(Planned(by, kind, centres=centres, drill=drill))

    async def plan(self, wanted: Planned) -> RollCall:
        """Plan a call, or begin it at once. Raises NotFoundError, BadInputError, WrongMomentError."""
        now = self._clock.now()
        self._refuse_past(wanted, now)
        version, profile = await self._rules(wanted)
        chosen, draw = self._drawn(self._chosen(wanted.centres), wanted)
        unknown = set(wanted.excused) - {centre.code for centre in chosen}
        if unknown:
            raise NotFoundError(f"excused: {min(unknown)} is not in this roll call")
        record = RollCallRecord(
            new_ulid(self._clock),
            wanted.kind,
            SessionState.DRAFT if wanted.at is None else SessionState.SCHEDULED,
            wanted.by,
            now if wanted.at is None else wanted.at,
            drill=wanted.drill,
            mode=wanted.mode,
            profile=wanted.profile,
            profile_version=version,
            rules=profile.model_dump(mode="json"),
            planned_at=wanted.at,
            schedule_id=wanted.schedule_id,
            draw=draw,
            trigger=wanted.trigger,
            upper_id=wanted.upper_id,
            upper_node=wanted.upper_node,
            root_centre=wanted.root_centre,
            makeup_of=wanted.makeup_of,
        )
        points = self._points(record, await self._ordering.put(chosen, record, profile), wanted)
        async with self._store.unit() as uow:
            if wanted.at is None:
                await self._refuse_overlap(uow, {point.centre for point in points}, wanted)
            await self.ledger.create(uow, record, points)
        extra = {"roll_call": record.id, "due": len(points), "by": wanted.by, "kind": wanted.kind.value}
        logger.info("roll call planned" if wanted.at else "roll call started", extra=extra)
        conductor = self._conduct(RollCall(record, points))
        if wanted.at is None:
            await conductor.begun()
            self.side.start(f"inspect[{record.id}]", lambda: self._lanes.inspect(record, points))
        return await self.ledger.get(record.id)

    async def _rules(self, wanted: Planned) -> tuple[int, Profile]:
        version, profile = await self.profile(wanted.profile)
        if wanted.rules is not None:
            version, profile = 0, Profile.model_validate(wanted.rules)
        return version, profile if wanted.order is None else profile.model_copy(update={"order": wanted.order})

    @staticmethod
    def _refuse_past(wanted: Planned, now: datetime) -> None:
        # A schedule's call whose time passed while the gateway was down is held at once.
        if wanted.at is not None and wanted.at <= now and wanted.schedule_id is None:
            raise BadInputError("at: lies in the past; leave it away to begin now")

    def _chosen(self, codes: Sequence[str] | None) -> list[Centre]:
        if codes is None:
            chosen = due_centres(self._ways)
            if not chosen:
                raise BadInputError("no county lies below this centre; a roll call has nobody to ring")
            return chosen
        below = {centre.code: centre for centre in self._ways.centres() if centre.code != self._ways.own().code}
        below = below or {centre.code: centre for centre in self._ways.centres()}
        unknown = [code for code in codes if code not in below]
        if unknown:
            raise NotFoundError(f"no centre {unknown[0]} below {self._ways.own().code}")
        if not codes:
            raise BadInputError("name at least one county, or leave `centres` away for all")
        return [below[code] for code in dict.fromkeys(codes)]

    def counties_of(self, centre: str) -> tuple[str, ...]:
        """Return the counties at or below a centre of this subtree."""
        own = self._ways.own().code
        due = [one.code for one in due_centres(self._ways)]
        return tuple(due) if centre == own else tuple(code for code in due if centre in way_to(self._ways, code))

    def _drawn(self, pool: list[Centre], wanted: Planned) -> tuple[list[Centre], dict[str, Any] | None]:
        """Draw by lot where a number is given, and keep what proves it."""
        if wanted.count is None and wanted.kind is not RollCallKind.RANDOM:
            return pool, None
        seed = wanted.seed or secrets.token_hex(16)
        draw = Draw(seed, tuple(sorted(centre.code for centre in pool)), wanted.count or len(pool))
        by_code = {centre.code: centre for centre in pool}
        proof = {"seed": seed, "commitment": draw.commitment, "pool": list(draw.pool), "count": draw.count}
        return [by_code[code] for code in draw.drawn], proof

    def _points(self, record: RollCallRecord, chosen: list[Centre], wanted: Planned) -> tuple[PointRecord, ...]:
        cameras = self._ways.cameras()
        points = tuple(point_of(record.id, number, one, cameras) for number, one in enumerate(chosen, 1))
        for point in points:
            if self._by_lanes(wanted, len(points)):
                point.delegate = delegate_of(self._ways, point.centre)
            if point.centre in wanted.excused:
                point.state, point.why = PointState.EXCUSED, wanted.excused[point.centre]
                point.decided_by, point.settled_at = wanted.by, self._clock.now()
        return points

    @staticmethod
    def _by_lanes(wanted: Planned, number: int) -> bool:
        if wanted.through != "auto":
            return wanted.through == "lanes"
        return number > 1 and wanted.kind not in STRAIGHT and wanted.mode is Mode.PARALLEL

    async def _refuse_overlap(self, reader: Reader, centres: Collection[str], wanted: Planned) -> None:
        if wanted.upper_id is not None:
            return
        busy = await self.ledger.busy(reader, centres)
        if busy:
            _, centre, name = busy[0]
            raise WrongMomentError(phrases.BUSY.format(name=name, centre=centre))
        names = {centre.code: centre.name for centre in self._ways.centres()}
        for centre in sorted(centres):
            one = self.inspections.of(centre)
            if one is not None:
                raise WrongMomentError(phrases.INSPECTED.format(by=one.by_centre, name=names[centre], centre=centre))

    # conducting

    async def act(
        self, roll_call_id: str, deed: Verdicts, *, by: str, centre: str | None = None, why: str = ""
    ) -> None:
        """Start, pause, resume, go on to the next, finish or cancel. Raises NotFoundError, WrongMomentError."""
        conductor = await self._conductor(roll_call_id)
        self.take_seat(conductor, by)
        if why:
            conductor.record.why = why
        deeds: dict[str, Deed] = {
            "start": lambda session, now: session.begin(now),
            "pause": lambda session, now: session.pause(now),
            "resume": lambda session, now: session.resume(now),
            "next": lambda session, now: session.next(now, centre),
            "finish": lambda session, now: session.finish(now),
            "cancel": lambda session, _now: session.cancel(),
        }
        if deed == "start":
            async with self._store.reading() as reader:
                await self._refuse_overlap(reader, set(conductor.points), Planned(by))
        await conductor.do(deeds[deed])
        logger.info("roll call steered", extra={"roll_call": roll_call_id, "deed": deed, "by": by})
        points = tuple(conductor.points.values())
        if deed in {"pause", "resume", "finish", "cancel"}:
            await self._lanes.steer(conductor.record, points, deed, why)
        if deed == "start":
            self.side.start(f"inspect[{roll_call_id}]", lambda: self._lanes.inspect(conductor.record, points))

    def take_seat(self, conductor: Conductor, by: str) -> None:
        """Note who conducts from now on: any other caller may take over at once."""
        if conductor.record.seat != by:
            logger.info("seat taken", extra={"roll_call": conductor.record.id, "by": by})
            conductor.record.seat, conductor.record.seat_at = by, self._clock.now()

    async def seat(self, roll_call_id: str, *, by: str) -> None:
        """Take the caller's seat. Raises NotFoundError, WrongMomentError."""
        conductor = await self._conductor(roll_call_id)
        self.take_seat(conductor, by)
        await self.ledger.save_call(conductor.record)

    async def set_aside(self, roll_call_id: str, centre: str, state: PointState, *, by: str, why: str) -> None:
        """Excuse or skip a point; the reason is a must. Raises NotFoundError, WrongMomentError."""
        conductor = await self._conductor(roll_call_id)
        await conductor.set_aside(centre, state, by=by, why=why)
        logger.info("point set aside", extra={"roll_call": roll_call_id, "centre": centre, "state": state, "by": by})

    async def decide(self, roll_call_id: str, centre: str, change: Change, *, by: str, why: str) -> None:
        """Take a person's verdict, or change the one that stands. Raises NotFoundError, WrongMomentError."""
        call = await self.ledger.get(roll_call_id)
        point = next((one for one in call.points if one.centre == centre), None)
        if point is None:
            raise NotFoundError(f"{centre} is not in this roll call")
        conductor = self._conductors.get(roll_call_id)
        if conductor is not None and call.record.state in UNDER_WAY:
            await conductor.decide(centre, change, by=by, why=why)
        elif call.record.state in {SessionState.REVIEWING, SessionState.PARTIAL, SessionState.PUBLISHED}:
            await change_verdict(self._store, self.ledger, call.record, point, change, by=by, why=why)
        else:
            raise WrongMomentError(f"cannot give a verdict: the roll call is {call.record.state}")
        logger.info("verdict", extra={"roll_call": roll_call_id, "centre": centre, "state": change.state, "by": by})

    async def retest(self, roll_call_id: str, centre: str, *, by: str) -> None:
        """Ask a point once more; one that a gateway below asked is asked straight from here from now on.

        Raises NotFoundError, WrongMomentError.
        """
        conductor = await self._conductor(roll_call_id)
        taken = await conductor.retest(centre)
        if taken is not None:
            points = tuple(conductor.points.values())
            self.side.start(f"inspect[{roll_call_id}]", lambda: self._lanes.inspect(conductor.record, points))
            logger.info("point taken over", extra={"roll_call": roll_call_id, "centre": centre, "node": taken})
        logger.info("point tested again", extra={"roll_call": roll_call_id, "centre": centre, "by": by})

    async def challenge(self, roll_call_id: str, centre: str, *, confirmed: bool | None, by: str) -> None:
        """Ask for the challenge number, or say whether it came back; where a gateway below asks the point, through it.

        Raises NotFoundError, WrongMomentError, LinkError.
        """
        extra = {"roll_call": roll_call_id, "centre": centre, "by": by, "confirmed": confirmed}
        logger.info("challenge", extra=extra)
        conductor = await self._conductor(roll_call_id)
        point = conductor.points.get(centre)
        if point is not None and point.delegate is not None:
            await self._lanes.challenge(conductor.record, point, confirmed=confirmed, by=by)
            return
        runner = conductor.runner(centre)
        if confirmed is None:
            runner.challenge()
        elif not runner.asks_for_number:
            raise WrongMomentError(f"no number is out for {centre}")
        else:
            runner.record.answer = (runner.record.answer or {}) | {"number_by": by}
            runner.confirm(confirmed=confirmed)

    async def answered(self, roll_call_id: str, centre: str, said: dict[str, Any], *, by: str) -> None:
        """Write down what a county said, over what is known. Raises NotFoundError."""
        conductor = self._conductors.get(roll_call_id)
        call = await self.ledger.get(roll_call_id)
        points = conductor.points if conductor is not None else {point.centre: point for point in call.points}
        if centre not in points:
            raise NotFoundError(f"{centre} is not in this roll call")
        point = points[centre]
        point.answer = (point.answer or {}) | said | {"noted_by": by}
        point.answered_by = said.get("answered_by", point.answered_by)
        await self.ledger.save_point(call.record, point)

    def conducted(self, roll_call_id: str) -> Conductor | None:
        """Return who runs a call, None for one that has ended."""
        return self._conductors.get(roll_call_id)

    async def _conductor(self, roll_call_id: str) -> Conductor:
        await self._taken_up.wait()  # the console of a gateway that begins anew may ask before its calls go on
        conductor = self._conductors.get(roll_call_id)
        if conductor is None:
            call = await self.ledger.get(roll_call_id)
            raise WrongMomentError(f"the roll call is {call.record.state}")
        return conductor

    def _conduct(self, call: RollCall) -> Conductor:
        """Run a call; a crash takes it up anew from its rows."""
        first = self._conductors[call.record.id] = Conductor(self._needs, self.ledger, self.side, call)
        self._tasks.start(call.record.id, partial(self._run, call.record.id), restart=True)
        return first

    async def _run(self, roll_call_id: str) -> None:
        conductor = self._conductors[roll_call_id]
        if conductor.spent:
            conductor = Conductor(self._needs, self.ledger, self.side, await self.ledger.get(roll_call_id))
            self._conductors[roll_call_id] = conductor
        await conductor.run()
        self._conductors.pop(roll_call_id, None)
        if conductor.record.upper_id is not None:
            await self.lending.settle()  # calls that gave way to the tier above go on

    # from other tiers

    async def on_order(self, command: Command) -> dict[str, Any]:
        """Call our counties for the tier above; ordered again it changes nothing."""
        order_ = parse_args(RollCallOrder, command.args)
        async with self._store.reading() as reader:
            known = await self.ledger.of_root(reader, order_.roll_call_id)
        if known is None:
            root = order_.root_centre or order_.caller_centre
            wanted = Planned(
                f"{order_.caller_centre}/{order_.caller}"[:64],
                RollCallKind.RELAY,
                Mode(order_.mode),
                centres=order_.centres,
                drill=order_.drill,
                through="lanes",
                upper_id=order_.roll_call_id,
                upper_node=command.origin,
                root_centre=root,
                rules=order_.rules,
            )
            async with self.lending.ordered(order_.roll_call_id, root, order_.centres):
                call = await self.plan(wanted)
            known = call.record.id
        return RollCallOrdered(roll_call_id=known).model_dump(mode="json")

    async def on_steer(self, command: Command) -> dict[str, Any]:
        """Pause, resume, finish or cancel a call that the tier above ordered."""
        steer = parse_args(RollCallSteer, command.args)
        known = await self._ordered_here(steer.roll_call_id)
        if known in self._conductors:
            await self.act(known, steer.deed, by=command.origin, why=steer.why)
        return {}

    async def on_probe(self, command: Command) -> dict[str, Any]:
        """Try a media path in both directions for the tier above. Raises NotFoundError, LinkError, WrongMomentError."""
        asked = parse_args(RollCallProbe, command.args)
        return (await self.side.echo(asked.stream)).model_dump(mode="json")

    async def on_challenge(self, command: Command) -> dict[str, Any]:
        """Show the number at a county that we ask for the tier above, or take that tier's word on it."""
        told = parse_args(RollCallChallenge, command.args)
        known = await self._ordered_here(told.roll_call_id)
        await self.challenge(known, told.centre, confirmed=told.confirmed, by=told.by)
        return {}

    async def _ordered_here(self, root_id: str) -> str:
        async with self._store.reading() as reader:
            known = await self.ledger.of_root(reader, root_id)
        if known is None:
            raise NotFoundError(f"no roll call {root_id} was ordered here")
        return known

    async def on_inspect(self, command: Command) -> dict[str, Any]:
        """Take that a higher tier calls our counties itself: calls from below it give way until it is over."""
        told = parse_args(RollCallInspect, command.args)
        await self.inspections.take(told)
        await self.lending.settle()
        return {}

    async def _expire(self) -> None:
        while True:
            await self.inspections.expire(self._clock.now())
            await self.lending.settle()  # a planned call may have begun meanwhile
            await self._clock.sleep(EXPIRE_S)

    def heard(self, roll_call_id: str, point: PointRecord) -> None:
        """Take what a gateway below told of a point; it is stored."""
        conductor = self._conductors.get(roll_call_id)
        if conductor is not None:
            conductor.heard(point)

    def noted(self, roll_call_id: str, centre: str, said: Mapping[str, Any]) -> None:
        """Take what a county said more of itself; it is stored."""
        conductor = self._conductors.get(roll_call_id)
        if conductor is not None and centre in conductor.points:
            take_in(conductor.points[centre], said)

    def upper(self) -> list[Inspection]:
        """Return what higher tiers call in this subtree just now (上级正在抽查)."""
        return self.inspections.standing()

    # reading

    async def get(self, roll_call_id: str) -> RollCall:
        """Return one roll call; raises NotFoundError."""
        return await self.ledger.get(roll_call_id)

    async def page(self, before: str | None = None, limit: int = PAGE) -> list[RollCall]:
        """Return the newest roll calls, or those older than the one named `before`."""
        return await self.ledger.page(before, limit)

    async def revisions(self, roll_call_id: str, centre: str | None = None) -> list[Revision]:
        """Return the changes of verdicts that stood, in order."""
        return await self.ledger.revisions(roll_call_id, centre)

    async def still(self, roll_call_id: str, centre: str) -> bytes:
        """Return the kept picture of a point as JPEG; raises NotFoundError where none was seen."""
        point = next((p for p in (await self.get(roll_call_id)).points if p.centre == centre), None)
        if point is None or point.still is None:
            raise NotFoundError(f"roll call {roll_call_id} keeps no picture of {centre}")
        return await self._needs.blobs.get(point.still)

    async def profile(self, name: str) -> tuple[int, Profile]:
        """Return the newest version of a profile; raises NotFoundError."""
        stored = await self.ledger.profile(name)
        if stored is not None:
            return stored[0], Profile.model_validate(stored[1])
        if name != "default":
            raise NotFoundError(f"no profile {name}; see GET /api/v1/roll-calls/profiles")
        return 0, self._default
