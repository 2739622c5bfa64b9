"""Runs one roll call: performs what the session's rule says, and tells it what happened.

**Everything is a row before anybody hears of it**, so another seat, or the same gateway after its death, goes on where
this one was. One thing happens at a time: people's deeds, ends of rounds and the clock queue for one lock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Final

from gateway.rollcall import phrases
from gateway.rollcall.ledger import Ledger
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.pace import Pace
from gateway.rollcall.records import PointRecord, RollCall
from gateway.rollcall.rules import holds, steps
from gateway.rollcall.rules import session as rules
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.score import score
from gateway.rollcall.rules.session import Seat, Session
from gateway.rollcall.rules.verdict import at_the_end
from gateway.rollcall.runner import GATHER_S, UNDER_WAY, PointRunner, Tools
from gateway.rollcall.side import Side
from gateway.rollcall.verdicts import Change, change_verdict, put_aside
from gateway.rollcall.ways import probe
from protocols.aio.clock import Clock
from protocols.errors import SilianError, WrongMomentError
from protocols.rollcall import (
    AUTO,
    FINAL,
    MISSING,
    PRESENT,
    AbsenceReason,
    Cause,
    Mode,
    PointState,
    RollCallKind,
    SessionState,
)

logger = logging.getLogger(__name__)
CAUSE_S: Final = 10.0
PROBES: Final = 4
"""So many points are probed at the same time: probing must not be what makes a line look thin."""
CALLING: Final = frozenset({SessionState.RUNNING, SessionState.MAKEUP})
HELD: Final = frozenset({SessionState.PAUSED, SessionState.PREEMPTED})
LANE_SLACK_S: Final = 60.0
"""A gateway below may tell its results so much later than its points may come."""
HEARD: Final = tuple(
    one.name for one in fields(PointRecord) if one.name not in {"holds", "roster", "precheck", "delegate"}
)
"""What the gateway below that asks a point may change of it; the rest is written here."""
Deed = Callable[[Session, float], list[steps.Effect]]


class Conductor:
    """One call that is planned or under way. `run` until it ends; `do` is how people act on it."""

    def __init__(self, needs: RollCallNeeds, ledger: Ledger, side: Side, call: RollCall) -> None:
        self.record = call.record
        self.points = {point.centre: point for point in call.points}
        self.profile = Profile.model_validate(call.record.rules)
        self._needs = needs
        self._ledger = ledger
        self._side = side
        self._session = session_of(call, self.profile, needs.clock)
        self._pace = Pace(needs.clock, self.profile.connecting)
        self._tools = Tools(needs, self.profile, self._save, call.record, needs.ways.own().code, self._pace)
        self._rounds: dict[str, asyncio.Task[None]] = {}
        self._runners: dict[str, PointRunner] = {}
        self._before: dict[str, PointState] = {}
        self._began: dict[str, datetime] = {}
        """When the round of each point began that is open, or was broken off just now."""
        self._results: dict[str, asyncio.Event] = {}
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._over = False

    # its life

    @property
    def spent(self) -> bool:
        """Tell whether it has run to its end or its fall: another one must take the call up from its rows."""
        return self._over

    async def run(self) -> None:
        """Return once the call has ended. Cancelling is safe: the rows say where to go on."""
        try:
            async with self._group:
                if self.record.state in CALLING:
                    self._side.figures.show(self.points)
                await self._resume()
                self._ready.set()
                while not self._over:
                    self._wake.clear()
                    deadline, now = self._session.deadline, self._needs.clock.monotonic()
                    await self._needs.clock.wait(self._wake, None if deadline is None else max(0.0, deadline - now))
                    await self._act(lambda session, at: session.tick(at))
                for task in self._rounds.values():
                    task.cancel()
        finally:
            self._over = True
            self._ready.set()
            self._side.leave(self.record)
            self._ledger.forget(self.record.id)

    async def _resume(self) -> None:
        interrupted = [p.centre for p in self.points.values() if p.state in UNDER_WAY | {PointState.RINGING}]
        late = self.record.state is SessionState.MAKEUP
        self._before = dict.fromkeys(interrupted, PointState.MAKEUP if late else PointState.PENDING)
        if self.record.state is SessionState.DRAFT:
            await self._act(lambda session, at: session.begin(at))
        elif self._lay_too_long():
            self._give_up()
            await self._act(lambda session, at: session.finish(at))
        else:
            since = holds.open_since(self.record.holds)
            stood = None if since is None else (self._needs.clock.now() - since).total_seconds()
            await self._act(lambda session, at: session.restored(at, interrupted, stood))
            self._side.stage(self.record, self.points)  # nobody holds the pictures of the stage any more

    def _lay_too_long(self) -> bool:
        """Tell whether nothing has happened for so long that nobody may be rung any more."""
        if self.record.state in rules.BEFORE | HELD or self.record.mode is Mode.SEQUENTIAL:
            return False
        times = [p_at for p in self.points.values() for p_at in (p.rung_at, p.answered_at, p.settled_at) if p_at]
        newest = max([self.record.started_at, *times])
        waited = holds.went_on_s(self.record.holds, newest, self._needs.clock.now())
        return waited > self.profile.presence_s + LANE_SLACK_S

    def _give_up(self) -> None:
        for point in self.points.values():
            if point.settled_at is None:
                answered = point.answered_at is not None
                point.state = PointState.FAILED if answered else PointState.NO_ANSWER
                point.reason = AbsenceReason.NO_PICTURE if answered else AbsenceReason.NO_ANSWER
                point.note = phrases.TOO_OLD
                self._session.seats[point.centre].state = point.state

    async def begun(self) -> None:
        """Return once the call goes on: a draft has begun then."""
        await self._ready.wait()

    async def do(self, deed: Deed, between: Callable[[], Awaitable[None]] | None = None) -> None:
        """Act on the call and return once what follows is stored. Raises what the deed raises, WrongMomentError.

        `between` runs when the rounds that the deed stops have ended, before anything else follows.
        """
        await self._ready.wait()
        if self._over:
            raise WrongMomentError(f"the roll call is {self.record.state}")
        await self._act(deed, between)

    async def _act(self, deed: Deed, between: Callable[[], Awaitable[None]] | None = None) -> None:
        async with self._lock:
            if self._over:
                return
            effects = deed(self._session, self._needs.clock.monotonic())
            # Beside each other: what each gathered is kept first.
            mine, stops = asyncio.current_task(), [one.centre for one in effects if isinstance(one, steps.Stop)]
            await asyncio.gather(*(self._stop(centre, mine) for centre in stops))
            if between is not None:
                await between()
            await self._perform(effects)
        self._wake.set()

    @property
    def gives_way_in_s(self) -> float | None:
        """Return how long it is until a higher tier takes over, None where none does."""
        at = self._session.gives_way_at
        return None if at is None else max(0.0, at - self._needs.clock.monotonic())

    @property
    def giving_way(self) -> tuple[str, ...]:
        """Return the points that a higher tier takes over then."""
        return self._session.giving_way

    @property
    def lends(self) -> frozenset[str]:
        """Return the points that a higher tier asks, and those that it takes over when their notice ends."""
        lent = (code for code, seat in self._session.seats.items() if seat.lent_at is not None)
        return frozenset([*lent, *self._session.giving_way])

    def asks_for_number(self, centre: str) -> bool:
        """Tell whether a challenge number is out for a point."""
        point = self.points.get(centre)
        if point is not None and point.delegate is not None:
            return point.challenge_at is not None and not point.settled
        runner = self._runners.get(centre)
        return runner is not None and runner.asks_for_number

    def runner(self, centre: str) -> PointRunner:
        """Return who asks a point just now; raises WrongMomentError."""
        found = self._runners.get(centre)
        if found is None:
            raise WrongMomentError(f"{centre} is not being asked just now; test it again first")
        return found

    # effects

    async def _perform(self, effects: Sequence[steps.Effect]) -> None:
        """Do what the rule says, in its order; rounds begin when all else is stored. Stops are done already."""
        before = self.record.row()
        opened = [effect for effect in effects if isinstance(effect, steps.Open)]
        for effect in effects:
            if not isinstance(effect, steps.Open | steps.Stop):
                await self._one(effect)
        if self.record.row() != before:
            await self._ledger.save_call(self.record, self.points.values() if self._over else ())
            self._side.stage(self.record, self.points)
        await self._open_all(opened)
        if self._over:
            self._side.ended(self.record, self.points)

    async def _one(self, effect: steps.Effect) -> None:
        match effect:
            case steps.Moved(state):
                self._moved(state)
            case steps.Probe(silent):
                self._group.create_task(self._probe(silent=silent), name=f"rollcall probe[{self.record.id}]")
            case steps.Freeze():
                await self._freeze()
            case steps.Stage(centre, upcoming):
                self.record.stage, self.record.upcoming = centre, upcoming
            case steps.Notice(seconds, centres):
                self._side.gives_way(self.record, seconds, centres)
            case steps.Lent(centre, over):
                await self._lent(self.points[centre], over=over)
            case steps.Close(centre):
                await self._close(self.points[centre])
            case steps.Ended():
                self.record.ended_at, self._over = self._needs.clock.now(), True
            case _:
                pass

    def _moved(self, state: SessionState) -> None:
        logger.info("roll call moved", extra={"roll_call": self.record.id, "state": state.value})
        self.record.state = state
        keep = holds.held if state in HELD else holds.freed
        self.record.holds = keep(self.record.holds, self._needs.clock.now())
        if state is SessionState.RUNNING:
            self._side.figures.show(self.points)

    async def _lent(self, point: PointRecord, *, over: bool) -> None:
        now = self._needs.clock.now()
        # The round that was broken off for it counts as lent time, too (see `steps.Lent`).
        since = self._began.pop(point.centre, now)
        point.holds = holds.freed(point.holds, now) if over else holds.held(point.holds, since)
        await self._save(point)
        extra = {"roll_call": self.record.id, "centre": point.centre, "over": over}
        logger.info("point lent to a higher tier", extra=extra)

    async def _freeze(self) -> None:
        self.record.started_at = self._needs.clock.now()
        if self.record.kind is RollCallKind.TEST:  # a rehearsal tries all that a planned call would
            self._group.create_task(self._probe(silent=False), name=f"rollcall probe[{self.record.id}]")
        if self._needs.rosters is None:
            return
        frozen = await self._needs.rosters.frozen(list(self.points), self.record.started_at)
        for centre, roster in frozen.items():
            if centre in self.points:
                self.points[centre].roster = roster
                await self._save(self.points[centre])

    async def _open_all(self, opened: Sequence[steps.Open]) -> None:
        lanes = [self.points[one.centre] for one in opened if self.points[one.centre].delegate is not None]
        if lanes:
            await self._side.delegate(self.record, self.profile, lanes)
        for one in opened:
            self._open(self.points[one.centre], late=one.late)

    def _open(self, point: PointRecord, *, late: bool) -> None:
        fresh = point.state not in UNDER_WAY | {PointState.RINGING}
        # What a gateway below found while nobody here waited for it, because the point was lent, stands.
        if fresh and not (point.delegate is not None and point.settled):
            self._before[point.centre] = point.state
            point.challenge, point.challenge_at, point.settled_at = None, None, None
            if late:
                point.makeup_at = self._needs.clock.now()
        now = self._needs.clock.now()
        self._began[point.centre] = now if fresh or point.ring_at is None else min(now, point.ring_at)
        work = self._lane(point.centre) if point.delegate is not None else self._round(point, late=late)
        self._rounds[point.centre] = self._group.create_task(work, name=f"rollcall round[{point.centre}]")

    async def _round(self, point: PointRecord, *, late: bool) -> None:
        # Who was under way when the gateway stopped is looked at at once: it has been rung already.
        turn = None if point.state in UNDER_WAY | {PointState.RINGING} else await self._pace.turn()
        if turn is not None:
            self._group.create_task(self._pace.give_up(turn), name=f"rollcall turn[{point.centre}]")
        runner = self._runners[point.centre] = PointRunner(self._tools, point, late=late, turn=turn)
        try:
            await runner.run()
        finally:
            self._runners.pop(point.centre, None)
            if turn is not None:
                turn.leave()
        if point.first_state is None and point.state is PointState.NO_ANSWER:
            self._side.unanswered(self.record, point)
        point.first_state = point.first_state or point.state
        if point.first_frame_s is not None and point.rung_at is not None and point.answered_at is not None:
            seen = (point.answered_at - point.rung_at).total_seconds() + point.first_frame_s
            self._needs.metrics.observe("rollcall_answer_duration_seconds", seen)
        await self._round_ended(point)

    async def _lane(self, centre: str) -> None:
        """Wait for the word of the gateway that asks the point for us."""
        bell = self._results.setdefault(centre, asyncio.Event())
        if self.points[centre].rung_at is None:
            self.points[centre].rung_at = self._needs.clock.now()
            await self._save(self.points[centre])
        while (point := self.points[centre]).settled_at is None:
            bell.clear()
            left = self.profile.presence_s + LANE_SLACK_S - self._waited_s(point)
            if left <= 0:
                point.state, point.reason = PointState.LINK_LOST, AbsenceReason.NO_LINK
                break
            await self._needs.clock.wait(bell, left)
        await self._round_ended(self.points[centre])

    def _waited_s(self, point: PointRecord) -> float:
        """Return for how long a gateway below has been asking a point; the time that it stood still is not counted."""
        now = self._needs.clock.now()
        stood = holds.together(self.record.holds, point.holds)
        return holds.went_on_s(stood, point.rung_at or now, now)

    async def _round_ended(self, point: PointRecord) -> None:
        self._rounds.pop(point.centre, None)
        self._began.pop(point.centre, None)
        if point.delegate is not None and point.settled_at is not None:
            await self._act(lambda session, now: session.told(point.centre, point.state, now))
            return
        if point.state in PRESENT:
            await self._settle(point, point.state)
        await self._act(lambda session, now: session.ended(point.centre, point.state, now))

    async def _stop(self, centre: str, mine: asyncio.Task[object] | None) -> None:
        task = self._rounds.pop(centre, None)
        if task is not None and task is not mine:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        point = self.points[centre]
        if point.delegate is None:
            await self._broken_off(point)
        if point.state not in FINAL or point.settled_at is None:
            point.state = self._before.get(centre, PointState.PENDING)
            await self._save(point)

    async def _broken_off(self, point: PointRecord) -> None:
        """Have nobody look at a point any more whose round was stopped, and keep what was seen."""
        try:
            async with asyncio.timeout(GATHER_S):
                await self._needs.gathering.broken_off(point)
        except (SilianError, TimeoutError) as error:
            extra = {"roll_call": self.record.id, "centre": point.centre, "error": str(error) or "no end in time"}
            logger.warning("evidence of a round that was broken off not kept", extra=extra)
            self._needs.metrics.count("rollcall_evidence_failed_total", step="broken_off")

    async def _close(self, point: PointRecord) -> None:
        if point.delegate is not None and point.settled_at is None:
            point.state, point.reason = PointState.LINK_LOST, AbsenceReason.NO_LINK
            point.note = self._side.lane_note(point)
        if point.lent:  # the caller ended the call while a higher tier had the county
            point.holds = holds.freed(point.holds, self._needs.clock.now())
            point.why = phrases.LENT
            await self._settle(point, PointState.SKIPPED)
        else:
            point.cause = point.cause or await self._cause(point)
            await self._settle(point, at_the_end(point.state, point.cause))
        self._session.closed(point.centre, point.state)

    async def _settle(self, point: PointRecord, state: PointState) -> None:
        """Let a verdict stand."""
        point.state, point.decided_by = state, point.decided_by or AUTO
        point.settled_at = self._needs.clock.now()
        if point.cause is None and (state in MISSING or point.makeup_at is not None):
            point.cause = await self._cause(point)
        self.rate(point)
        await self._ledger.save_verdict(self.record, point)
        logger.info(
            "roll call point",
            extra={
                "roll_call": self.record.id, "centre": point.centre, "state": point.state.value,
                "reason": point.reason or "none", "cause": point.cause or "none",
            },
        )  # fmt: skip
        self._side.figures.settled(point)

    async def _cause(self, point: PointRecord) -> Cause | None:
        if self._needs.causes is None:
            return None
        try:
            async with asyncio.timeout(CAUSE_S):
                return await self._needs.causes.cause(point, self.record)
        except (SilianError, TimeoutError) as error:
            extra = {"roll_call": self.record.id, "centre": point.centre, "error": str(error) or "no answer in time"}
            logger.warning("cause not found", extra=extra)
        return None

    def rate(self, point: PointRecord) -> None:
        """Give a point its score; a test has none."""
        if self.record.kind is RollCallKind.TEST:
            return
        found = score(point.state, point.cause, point.checks, self.profile.weights)
        point.score = found.points if found is not None else None

    async def _save(self, point: PointRecord) -> None:
        await self._ledger.save_point(self.record, point)

    # before the call

    async def _probe(self, *, silent: bool) -> None:
        places = asyncio.Semaphore(PROBES)

        async def one(point: PointRecord) -> None:
            async with places:
                found = probe(self._needs.ways, point, self._needs.clock.now())
                if not silent and found["ready"]:
                    found |= await self._side.look(self.record, point)
            point.precheck = found
            await self._save(point)
            await self._act(partial(_probed, point.centre))

        await asyncio.gather(*(one(point) for point in list(self.points.values())))

    # people

    async def set_aside(self, centre: str, state: PointState, *, by: str, why: str) -> None:
        """Excuse or skip a point. Raises NotFoundError, WrongMomentError."""

        async def write() -> None:
            await put_aside(self._needs.store, self._ledger, self.record, self.points[centre], state, by=by, why=why)

        await self.do(lambda session, now: session.aside(centre, state, now), write)

    async def retest(self, centre: str) -> str | None:
        """Ask a point once more from here; returns the gateway that asked it before, if one did.

        Raises NotFoundError, WrongMomentError.
        """
        taken: list[str] = []

        async def take() -> None:
            point = self.points[centre]
            if point.delegate is not None:
                taken.append(point.delegate)
                point.delegate, point.settled_at = None, None
                await self._save(point)

        await self.do(lambda session, now: session.retest(centre, now), take)
        return taken[0] if taken else None

    async def decide(self, centre: str, change: Change, *, by: str, why: str) -> None:
        """Take a person's verdict on a point that has none yet, or change the one that stands."""

        async def write() -> None:
            await change_verdict(
                self._needs.store, self._ledger, self.record, self.points[centre], change, by=by, why=why
            )

        await self.do(lambda session, now: session.decided(centre, change.state, now), write)

    def heard(self, point: PointRecord) -> None:
        """Take what a gateway below told of a point: it is stored already."""
        mine = self.points.get(point.centre)
        if mine is None or mine.delegate is None:
            return  # it was taken over meanwhile and is asked from here
        rung_at = point.rung_at or mine.rung_at
        for name in HEARD:  # what this call itself notes of the point may not be on the disk yet
            setattr(mine, name, getattr(point, name))
        mine.rung_at = rung_at
        self._results.setdefault(point.centre, asyncio.Event()).set()
        if mine.settled and mine.lent and self._ready.is_set() and not self._over:
            # It was seen before the gateway below heard that it is lent: nobody needs to ask it again.
            self._group.create_task(self._round_ended(mine), name=f"rollcall told[{point.centre}]")


def _probed(centre: str, session: Session, _now: float) -> list[steps.Effect]:
    return session.probed(centre)


def session_of(call: RollCall, profile: Profile, clock: Clock) -> Session:
    """Return the rule of a call as its rows say it stands."""
    now, utc = clock.monotonic(), clock.now()

    def mono(at: datetime | None) -> float | None:
        return None if at is None else now - (utc - at).total_seconds()

    record = call.record

    def rung(point: PointRecord) -> float | None:
        began, at = mono(point.rung_at), point.rung_at
        stood = holds.together(record.holds, point.holds)
        return None if began is None or at is None else began + holds.stood_still_s(stood, at)

    if any(point.delegate is not None for point in call.points):
        # Who is asked by a gateway below takes no place here.
        profile = profile.model_copy(update={"parallel": max(profile.parallel, len(call.points))})
    made = Session(
        profile,
        {
            point.centre: seat_of(point, rung(point), mono(holds.open_since(point.holds)), mono(point.ring_at))
            for point in call.points
        },
        record.mode,
        record.state,
        planned_at=mono(record.planned_at),
        hidden=record.kind is RollCallKind.RANDOM,
        makes_up=record.kind is not RollCallKind.TEST,
        stage=record.stage if record.mode is Mode.SEQUENTIAL else None,
    )
    for point in call.points:
        if point.settled_at is not None:
            made.closed(point.centre, point.state)
    return made


def seat_of(
    point: PointRecord, rung_at: float | None, lent_at: float | None = None, opened_at: float | None = None
) -> Seat:
    """Return a point as the session sees it after a restart; `opened_at`: when its newest ring began."""
    in_round = point.state in {PointState.RINGING} | UNDER_WAY
    visited = point.first_state is not None or not (in_round or point.state is PointState.PENDING)
    opened = opened_at if in_round and lent_at is None else None
    return Seat(point.centre, point.state, rung_at, visited=visited, lent_at=lent_at, opened_at=opened)
