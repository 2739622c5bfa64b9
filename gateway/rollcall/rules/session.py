"""One roll call as a whole: when it begins, who is asked now, who again, and when it is over (domain.md 3.3, 3.4).

**Nobody is asked twice who has a verdict, and nobody is left without one when the call ends.** Times are monotonic
seconds given as arguments. Methods return effects that the shell performs; `deadline` says when `tick` is due. What
happens within a point's round is the point's rule (`machine.py`): the session opens rounds and hears how they ended.

============= ================================== ============= =================================================
state         event                              next          effect
============= ================================== ============= =================================================
scheduled     T - precheck_s                     prechecking   Probe
prechecking   all probed                         ready
planned       T, the caller need not confirm     running       Freeze, Open …
not begun     begin                              running       Freeze, Open … (sequential: Stage, Open)
running       a round ended                      running       Open the next waiting; sequential: wait for `next`
running       all were visited, some are missing makeup        Open …
makeup        a round ended, time is left        makeup        Open again after makeup_every_s
makeup        a point's presence_s is over       makeup        Close (absent, unreachable or failed stands)
under way     nothing is left to be asked        reviewing     Ended
running,      pause / resume                     paused        rounds under way go on, none is opened
makeup
under way     take: a higher tier wants points   as before     Notice, preempt_notice_s later Stop, Lent …
under way     nothing is left but what is lent   preempted
under way     give_back, a person's verdict      as before     Lent (over), Open …: each has its place again
under way     finish                             reviewing     Stop …, Close …, Ended
under way     finish, and points are lent        partial       Stop …, Close …, Ended
not ended     cancel                             cancelled     Stop …, Ended
============= ================================== ============= =================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.steps import (
    Close,
    Effect,
    Ended,
    Freeze,
    Lent,
    Moved,
    Notice,
    Open,
    Probe,
    Stage,
    Stop,
)
from protocols.errors import NotFoundError, WrongMomentError
from protocols.rollcall import ASIDE, FINAL, PRESENT, QUEUED, UNDER_WAY, Mode, PointState, SessionState

BEFORE: Final = frozenset({SessionState.DRAFT, SessionState.SCHEDULED, SessionState.PRECHECKING, SessionState.READY})


@dataclass(slots=True)
class Seat:
    """One point as the session sees it. `rung_at`: its first round; `due`: not opened again before.

    `opened_at`: when the round began that is open, None between two; `lent_at`: since when its time stands still
    because a higher tier asks it, None while it is ours; `missed`: its turn passed while it was lent.
    """

    centre: str
    state: PointState = PointState.PENDING
    rung_at: float | None = None
    due: float = 0.0
    open: bool = False
    opened_at: float | None = None
    visited: bool = False
    lent_at: float | None = None
    missed: bool = False

    @property
    def final(self) -> bool:
        """Tell whether its verdict stands."""
        return self.state in PRESENT | ASIDE or (self.state in FINAL and not self.open and self.visited)


@dataclass(slots=True)
class Session:
    """Feed it; perform what it returns in order."""

    profile: Profile
    seats: dict[str, Seat]
    mode: Mode = Mode.PARALLEL
    state: SessionState = SessionState.DRAFT
    planned_at: float | None = None
    hidden: bool = False
    makes_up: bool = True
    stage: str | None = None
    _probed: set[str] = field(default_factory=set)
    _before: SessionState | None = None
    _held_since: float | None = None
    _notices: dict[str, float] = field(default_factory=dict)
    """When a higher tier takes which point over."""
    _closed: set[str] = field(default_factory=set)
    _waiting: dict[str, Seat] = field(default_factory=dict)
    """Nobody has asked them yet."""
    _opened: dict[str, Seat] = field(default_factory=dict)
    _queued: dict[str, Seat] = field(default_factory=dict)
    """Asked, missing, and to be asked again."""
    _lent: dict[str, Seat] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for seat in self.seats.values():
            self._file(seat)

    @classmethod
    def of(cls, profile: Profile, centres: Iterable[str], mode: Mode = Mode.PARALLEL) -> "Session":
        """Return a new session with the points in their order."""
        return cls(profile, {centre: Seat(centre) for centre in centres}, mode)

    # time

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next `tick`, None while only an event can change something."""
        ends = [at for at in (self.gives_way_at, self._timer) if at is not None]
        return min(ends, default=None)

    @property
    def _timer(self) -> float | None:
        match self.state:
            case SessionState.SCHEDULED:
                return None if self.planned_at is None else self.planned_at - self._lead
            case SessionState.PRECHECKING | SessionState.READY:
                waits = self.state is SessionState.READY and self.profile.confirm
                return None if waits else self.planned_at
            case SessionState.MAKEUP:
                return self._next_of_makeup()
            case _:
                return None

    @property
    def gives_way_at(self) -> float | None:
        """Monotonic time at which a higher tier takes over, None where none does."""
        return min(self._notices.values(), default=None)

    @property
    def giving_way(self) -> tuple[str, ...]:
        """The points that a higher tier takes over when their notice ends."""
        return tuple(self._notices)

    def tick(self, now: float) -> list[Effect]:
        """Let time pass."""
        due = [code for code, at in self._notices.items() if now >= at]
        if due:
            return [*(effect for code in due for effect in self._lend(code, now)), *self._go_on(now), *self.tick(now)]
        deadline = self._timer
        if deadline is None or now < deadline:
            return []
        match self.state:
            case SessionState.SCHEDULED:
                return [*self._move(SessionState.PRECHECKING), Probe(self.hidden), *self.tick(now)]
            case SessionState.PRECHECKING:
                return [*self._move(SessionState.READY), *self.tick(now)]
            case SessionState.READY:
                return self.begin(now)
            case _:
                return self._go_on(now)

    @property
    def _lead(self) -> float:
        return self.profile.precheck_hidden_s if self.hidden else self.profile.precheck_s

    def _next_of_makeup(self) -> float | None:
        if not self._queued:
            return None
        ends = min(map(self._ends, self._queued.values()))
        # While all places are taken, a round's end opens the next one: its due time must not wake anybody.
        return min(ends, *(seat.due for seat in self._queued.values())) if self._free > 0 else ends

    @property
    def _free(self) -> int:
        return self.profile.parallel - len(self._opened)

    def _ends(self, seat: Seat) -> float:
        return (seat.rung_at or 0.0) + self.profile.presence_s

    # before the call

    def probed(self, centre: str) -> list[Effect]:
        """Take that a point was probed; its finding never keeps it from being called."""
        self._probed.add(centre)
        if self.state is SessionState.PRECHECKING and self._probed >= set(self.seats):
            return self._move(SessionState.READY)
        return []

    def begin(self, now: float) -> list[Effect]:
        """Begin to call; raises WrongMomentError once it has begun."""
        self._must(BEFORE, "begin")
        effects: list[Effect] = [*self._move(SessionState.RUNNING), Freeze()]
        if self.mode is Mode.SEQUENTIAL:
            first = next(iter(self._waiting), None)
            if first is not None:
                effects += self._to_stage(first, now)
        return effects + self._go_on(now)

    # the call

    def ended(self, centre: str, state: PointState, now: float) -> list[Effect]:
        """Take that a round ended, or that another tier told the state of its point."""
        seat = self._seat(centre)
        if not seat.open and seat.final:
            return []
        seat.due = now + self.profile.makeup_every_s
        self._visited(seat, state)
        effects: list[Effect] = self._mine_again(seat) if not self._unsettled(seat) else []
        staged = self.mode is Mode.SEQUENTIAL and self.stage == centre
        if staged and self.profile.auto_next and self.state is SessionState.RUNNING:
            effects += self._advance(now)
        return effects + self._go_on(now)

    def told(self, centre: str, state: PointState, now: float) -> list[Effect]:
        """Take the final state that a gateway below gave its point: nobody asks it again from here."""
        self._closed.add(centre)
        return self.ended(centre, state, now)

    def next(self, now: float, centre: str | None = None) -> list[Effect]:
        """Name the next point, or the given one; who stood on stage is watched on in the background.

        Raises WrongMomentError, NotFoundError.
        """
        self._must({SessionState.RUNNING, SessionState.MAKEUP}, "name the next centre")
        if self.mode is Mode.PARALLEL:
            raise WrongMomentError("a parallel call has no stage; it asks all centres at once")
        if centre is not None:
            return [*self._to_stage(self._ours(centre).centre, now), *self._go_on(now)]
        return [*self._advance(now), *self._go_on(now)]

    def aside(self, centre: str, state: PointState, now: float) -> list[Effect]:
        """Excuse or skip a point: it is not asked any more. Raises NotFoundError, WrongMomentError."""
        self._must(BEFORE | UNDER_WAY, "set a centre aside")
        seat = self._seat(centre)
        effects: list[Effect] = [Stop(centre)] if seat.open else []
        self._visited(seat, state)
        effects += self._mine_again(seat)
        if self.stage == centre and self.state is SessionState.RUNNING:
            effects += self._advance(now)
        return effects + self._go_on(now)

    def closed(self, centre: str, state: PointState) -> None:
        """Take the final state that a point was given on `Close`."""
        self._closed.add(centre)
        seat = self._seat(centre)
        self._visited(seat, state)
        self._mine_again(seat)

    def decided(self, centre: str, state: PointState, now: float) -> list[Effect]:
        """Take a person's verdict on a point: it is not asked any more. Raises NotFoundError, WrongMomentError."""
        self._must(UNDER_WAY, "give a verdict")
        seat = self._seat(centre)
        effects: list[Effect] = [Stop(centre)] if seat.open else []
        self._closed.add(centre)
        self._visited(seat, state)
        return effects + self._mine_again(seat) + self._go_on(now)

    def retest(self, centre: str, now: float) -> list[Effect]:
        """Ask a point once more at once; raises NotFoundError, WrongMomentError."""
        self._must({SessionState.RUNNING, SessionState.MAKEUP}, "test a centre again")
        seat = self._ours(centre)
        if seat.open:
            raise WrongMomentError(f"{centre} is being asked just now")
        self._closed.discard(centre)
        return self._open(seat, now)

    # holding it

    def pause(self, now: float) -> list[Effect]:
        """Open no more rounds; raises WrongMomentError."""
        self._must({SessionState.RUNNING, SessionState.MAKEUP}, "pause")
        self._before, self._held_since = self.state, now
        return self._move(SessionState.PAUSED)

    def resume(self, now: float) -> list[Effect]:
        """Go on after a pause; raises WrongMomentError."""
        self._must({SessionState.PAUSED}, "resume")
        return self._back(now)

    def take(self, centres: Iterable[str], now: float) -> list[Effect]:
        """Lend points to a higher tier: after the notice where they are being asked, else at once.

        What is settled stays so. A call that does not run, and a point that is lent already, say nothing.
        """
        if self.state not in UNDER_WAY:
            return []
        mine = (self.seats[code] for code in centres if code in self.seats and code not in self._notices)
        wanted = [seat for seat in mine if seat.lent_at is None]
        told = tuple(seat.centre for seat in wanted if seat.open)
        self._notices |= dict.fromkeys(told, now + self.profile.preempt_notice_s)
        effects: list[Effect] = [Notice(self.profile.preempt_notice_s, told)] if told else []
        for seat in wanted:
            if not seat.open and self._asks_again(seat):
                effects += self._lend(seat.centre, now)
        return effects + self._go_on(now)

    def give_back(self, centres: Iterable[str], now: float) -> list[Effect]:
        """Take points back from the higher tier, each in its place; one whose notice runs was never interrupted."""
        if self.state not in UNDER_WAY:
            return []
        effects: list[Effect] = []
        for code in centres:
            self._notices.pop(code, None)
            if code in self._lent:
                effects += self._returned(self._lent[code], now)
        if effects:
            self._waiting = {code: seat for code, seat in self.seats.items() if code in self._waiting}
        if effects and self.mode is Mode.SEQUENTIAL and self.state is SessionState.RUNNING:
            effects += self._upcoming(now)
        return effects + self._go_on(now)

    def finish(self, now: float) -> list[Effect]:
        """End it now: what is open gets its final state. A call that has points lent ends as partial."""
        self._must(UNDER_WAY, "end")
        partial = self.state is SessionState.PREEMPTED or bool(self._lent)
        effects = self._stop_all()
        return effects + self._close_all() + self._end(SessionState.PARTIAL if partial else SessionState.REVIEWING)

    def cancel(self) -> list[Effect]:
        """End it without a result; raises WrongMomentError once it has ended."""
        self._must(BEFORE | UNDER_WAY, "cancel")
        return self._stop_all() + self._end(SessionState.CANCELLED)

    def restored(self, now: float, interrupted: Iterable[str], held_s: float | None = None) -> list[Effect]:
        """Go on after a restart; `interrupted` points were in a round, which is taken up where it was.

        `held_s`: so long the call is held already, None where that is not known: then its points have their whole time.
        """
        if self.state in {SessionState.PAUSED, SessionState.PREEMPTED}:
            running = self.stage is not None or any(not seat.visited for seat in self.seats.values())
            self._before = SessionState.RUNNING if running else SessionState.MAKEUP
            self._held_since = now - (held_s or 0.0)
            for centre in interrupted:
                seat = self._seat(centre)
                seat.state = PointState.MAKEUP if seat.visited else seat.state
            for seat in self.seats.values():
                if held_s is None and seat.rung_at is not None:
                    seat.rung_at = now
                self._file(seat)
            return []
        for seat in self.seats.values():
            self._file(seat)
        effects: list[Effect] = []
        if self.state in {SessionState.RUNNING, SessionState.MAKEUP}:
            for centre in interrupted:
                effects += [] if centre in self._lent else self._open(self._seat(centre), now)
        if self.mode is Mode.SEQUENTIAL and self.stage is not None and self.state is SessionState.RUNNING:
            effects += self._to_stage_again(now)
        return effects + self._go_on(now)

    # inside

    def _go_on(self, now: float) -> list[Effect]:
        """Open what may be opened, close what is over, and see whether the call is."""
        if self.state is SessionState.MAKEUP:
            return self._make_up(now)
        if self.state is SessionState.PREEMPTED and (self._waiting or self._queued or not self._lent):
            return self._back(now)
        if self.state is not SessionState.RUNNING:
            return []
        effects = self._open_waiting(now)
        if self._staged or self._waiting or self._opened:
            return effects
        if self.makes_up and self._queued:
            return [*effects, *self._move(SessionState.MAKEUP), *self._make_up(now)]
        return effects + self._done(now)

    def _done(self, now: float) -> list[Effect]:
        """Nothing is left to be asked: end, or wait for what is lent."""
        if not self._lent:
            return self._close_all() + self._end(SessionState.REVIEWING)
        self._before, self._held_since = self.state, now
        return self._move(SessionState.PREEMPTED)

    @property
    def _staged(self) -> bool:
        """Tell whether somebody stands on stage whom only the caller lets go."""
        return self.stage is not None and not self.profile.auto_next and self.state is SessionState.RUNNING

    def _open_waiting(self, now: float) -> list[Effect]:
        if self.mode is Mode.SEQUENTIAL and self.state is SessionState.RUNNING:
            return []
        chosen = list(islice(self._waiting.values(), max(0, self._free)))
        return [effect for seat in chosen for effect in self._open(seat, now)]

    def _make_up(self, now: float) -> list[Effect]:
        effects = self._open_waiting(now)
        for seat in [*self._queued.values()]:
            if now >= self._ends(seat):
                self._closed.add(seat.centre)
                self._file(seat)
                effects.append(Close(seat.centre))
            elif now >= seat.due and self._free > 0:
                effects += self._open(seat, now)
        if not (self._queued or self._opened or self._waiting):
            effects += self._done(now)
        return effects

    def _file(self, seat: Seat) -> None:
        """Keep the lists in step with a point that changed."""
        code = seat.centre
        for kept in (self._waiting, self._opened, self._queued, self._lent):
            kept.pop(code, None)
        if seat.lent_at is not None:
            self._lent[code] = seat
        elif seat.open:
            self._opened[code] = seat
        elif not seat.visited:
            self._waiting[code] = seat
        elif seat.state in QUEUED and code not in self._closed:
            self._queued[code] = seat

    def _visited(self, seat: Seat, state: PointState) -> None:
        seat.open, seat.opened_at, seat.visited, seat.state = False, None, True, state
        self._file(seat)

    def _unsettled(self, seat: Seat) -> bool:
        return seat.centre not in self._closed and (seat.state not in FINAL or seat.state in QUEUED)

    def _open(self, seat: Seat, now: float) -> list[Effect]:
        # Whose first turn comes in the make-up, because a higher tier had it before, is not late.
        late = self.state is SessionState.MAKEUP and seat.visited
        seat.open, seat.missed = True, False
        seat.opened_at = now if seat.opened_at is None else seat.opened_at  # it goes on after a restart
        self._file(seat)
        if seat.rung_at is None:
            seat.rung_at = now
        return [Open(seat.centre, late)]

    def _advance(self, now: float) -> list[Effect]:
        upcoming = self._after(self.stage)
        if upcoming is None:
            left = self.stage is not None
            self.stage = None
            return [Stage(None, None)] if left else []
        return self._to_stage(upcoming, now)

    def _to_stage(self, centre: str, now: float) -> list[Effect]:
        self.stage = centre
        seat = self.seats[centre]
        effects: list[Effect] = [Stage(centre, self._after(centre))]
        if not seat.open and not seat.visited:
            effects += self._open(seat, now)
        return effects

    def _to_stage_again(self, now: float) -> list[Effect]:
        """Go on with who stood on stage; whom a higher tier took meanwhile is no longer ours to ask."""
        if self.stage is None or self.seats[self.stage].lent_at is not None:
            return self._advance(now)
        return self._to_stage(self.stage, now)

    def _after(self, centre: str | None) -> str | None:
        """Return whose turn passed while it was lent, else the first after `centre` that nobody has asked, else any."""
        waiting = [code for code in self._waiting if code != centre]
        missed = next((code for code in waiting if self.seats[code].missed), None)
        if centre is None or not waiting or missed is not None:
            return missed or (waiting[0] if waiting else None)
        order = {code: number for number, code in enumerate(self.seats)}
        return next((code for code in waiting if order[code] > order[centre]), waiting[0])

    # what is lent

    def _asks_again(self, seat: Seat) -> bool:
        """Tell whether this call would still ask a point that is not being asked now."""
        return self._unsettled(seat) and (self.makes_up or not seat.visited)

    def _lend(self, centre: str, now: float) -> list[Effect]:
        self._notices.pop(centre, None)
        seat = self.seats[centre]
        if not seat.open and not self._asks_again(seat):
            return []
        effects: list[Effect] = [*([Stop(centre)] if seat.open else []), Lent(centre)]
        # A round that is broken off for a higher tier brought nobody anything: its time counts as lent too.
        seat.lent_at = now if seat.opened_at is None else seat.opened_at
        seat.open, seat.opened_at = False, None
        self._file(seat)
        if self.mode is Mode.PARALLEL or self.state is not SessionState.RUNNING:
            return effects
        return effects + (self._advance(now) if self.stage == centre else self._upcoming(now))

    def _returned(self, seat: Seat, now: float) -> list[Effect]:
        """Make a point ours again: the time that it was lent is added to what it has left, but none of it twice."""
        until = now if self._held_since is None else self._held_since
        if seat.rung_at is not None and seat.lent_at is not None:
            seat.rung_at += max(0.0, until - seat.lent_at)
        if self.stage is not None and not seat.visited:
            order = list(self.seats)
            seat.missed = order.index(seat.centre) < order.index(self.stage)
        return self._mine_again(seat)

    def _mine_again(self, seat: Seat) -> list[Effect]:
        self._notices.pop(seat.centre, None)
        if seat.lent_at is None:
            return []
        seat.lent_at = None
        self._file(seat)
        return [Lent(seat.centre, over=True)]

    def _back(self, now: float) -> list[Effect]:
        """Go on where it was held; the time that it stood still is added to what each point has left."""
        since = self._held_since if self._held_since is not None else now
        for seat in self.seats.values():
            if seat.lent_at is not None:
                seat.lent_at = min(seat.lent_at, since)
            elif seat.rung_at is not None:
                seat.rung_at += now - since
                seat.opened_at = None if seat.opened_at is None else seat.opened_at + (now - since)
        state = self._before or SessionState.RUNNING
        self._before, self._held_since = None, None
        effects = self._move(state)
        if self.mode is Mode.SEQUENTIAL and state is SessionState.RUNNING:
            effects += self._to_stage_again(now)
        return effects + self._go_on(now)

    def _upcoming(self, now: float) -> list[Effect]:
        """Say anew who comes next: another one than before, as a point was lent or came back."""
        return [Stage(self.stage, self._after(self.stage))] if self.stage else self._advance(now)

    def _stop_all(self) -> list[Effect]:
        stopped = [*self._opened.values()]
        for seat in stopped:
            seat.open, seat.opened_at = False, None
            self._file(seat)
        return [Stop(seat.centre) for seat in stopped]

    def _close_all(self) -> list[Effect]:
        return [Close(seat.centre) for seat in self.seats.values() if self._unsettled(seat)]

    def _end(self, state: SessionState) -> list[Effect]:
        staged = self.stage is not None
        self.stage = None
        self._notices.clear()
        return [*([Stage(None, None)] if staged else []), *self._move(state), Ended()]

    def _move(self, state: SessionState) -> list[Effect]:
        self.state = state
        return [Moved(state)]

    def _seat(self, centre: str) -> Seat:
        if centre not in self.seats:
            raise NotFoundError(f"{centre} is not in this roll call")
        return self.seats[centre]

    def _ours(self, centre: str) -> Seat:
        seat = self._seat(centre)
        if seat.lent_at is not None:
            raise WrongMomentError(f"a higher tier asks {centre} just now")
        return seat

    def _must(self, states: Iterable[SessionState], what: str) -> None:
        if self.state not in states:
            raise WrongMomentError(f"cannot {what}: the roll call is {self.state}")
