"""One roll call as a whole: when it begins, who is asked now, who again, and when it is over (domain.md 3.3, 3.4).

**Nobody is asked twice who has a verdict, and nobody is left without one when the call ends.** Times are monotonic
seconds given as arguments. Methods return effects that the shell performs; `deadline` says when `tick` is due. What
happens within a point's round is the point's rule (`machine.py`): the session opens rounds and hears how they ended.

============= ================================== ============= =================================================
state         event                              next          effect
============= ================================== ============= =================================================
scheduled     T - precheck_s                     prechecking   Probe
prechecking   all probed                         ready
prechecking,  T, the caller need not confirm     running       Freeze, Open …
ready
draft,        begin                              running       Freeze, Open … (sequential: Stage, Open)
scheduled,
prechecking,
ready
running       a round ended                      running       Open the next waiting; sequential: wait for `next`
running       every point was visited, and some  makeup        Open …
              are missing
running       every point was visited            reviewing     Ended
makeup        a round ended, time is left        makeup        Open again after makeup_every_s
makeup        a point's presence_s is over       makeup        Close (absent, unreachable or failed stands)
makeup        queue empty                        reviewing     Ended
running,      pause / resume                     paused        rounds under way go on, none is opened
makeup
running,      preempt, preempt_notice_s later    preempted     Notice, then Stop …
makeup,paused
preempted     free                               as before     Open …
preempted     finish                             partial       Close …, Ended
running,      finish                             reviewing     Stop …, Close …, Ended
makeup,paused
before or     cancel                             cancelled     Stop …, Ended
under way
============= ================================== ============= =================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from gateway.rollcall.rules.profiles import Profile
from protocols.errors import NotFoundError, WrongMomentError
from protocols.rollcall import ASIDE, FINAL, PRESENT, QUEUED, UNDER_WAY, Mode, PointState, SessionState

BEFORE: Final = frozenset({SessionState.DRAFT, SessionState.SCHEDULED, SessionState.PRECHECKING, SessionState.READY})


@dataclass(frozen=True, slots=True)
class Moved:
    """The session is in another state: write it down."""

    state: SessionState


@dataclass(frozen=True, slots=True)
class Probe:
    """Probe all points and report each with `probed`; `silent`: no county may notice, and no picture is taken."""

    silent: bool


@dataclass(frozen=True, slots=True)
class Freeze:
    """Freeze the rosters of all points: the call begins."""


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a round of a point and report its end with `ended`; `late`: it is the make-up."""

    centre: str
    late: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End a point's round without a verdict."""

    centre: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Name a centre (点名发言) and fetch the picture of the one that comes next."""

    centre: str | None
    upcoming: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell people that a higher tier takes over in so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """A point's time is up: give it its final state and report that with `closed`."""

    centre: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more is asked."""


Effect = Moved | Probe | Freeze | Open | Stop | Stage | Notice | Close | Ended


@dataclass(slots=True)
class Seat:
    """One point as the session sees it. `rung_at`: its first round; `due`: not opened again before."""

    centre: str
    state: PointState = PointState.PENDING
    rung_at: float | None = None
    due: float = 0.0
    open: bool = False
    visited: bool = False

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
    _notice_ends: float | None = None
    _closed: set[str] = field(default_factory=set)
    _waiting: dict[str, Seat] = field(default_factory=dict)
    """Nobody has asked them yet."""
    _opened: dict[str, Seat] = field(default_factory=dict)
    _queued: dict[str, Seat] = field(default_factory=dict)
    """Asked, missing, and to be asked again."""

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
        if self._notice_ends is not None:
            return self._notice_ends
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
        return self._notice_ends

    def tick(self, now: float) -> list[Effect]:
        """Let time pass."""
        if self._notice_ends is not None and now >= self._notice_ends:
            return self._preempted(now)
        deadline = self.deadline
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
        effects: list[Effect] = []
        staged = self.mode is Mode.SEQUENTIAL and self.stage == centre
        if staged and self.profile.auto_next and self.state is SessionState.RUNNING:
            effects = self._advance(now)
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
            return [*self._to_stage(self._seat(centre).centre, now), *self._go_on(now)]
        return [*self._advance(now), *self._go_on(now)]

    def aside(self, centre: str, state: PointState, now: float) -> list[Effect]:
        """Excuse or skip a point: it is not asked any more. Raises NotFoundError, WrongMomentError."""
        self._must(BEFORE | UNDER_WAY, "set a centre aside")
        seat = self._seat(centre)
        effects: list[Effect] = [Stop(centre)] if seat.open else []
        self._visited(seat, state)
        if self.stage == centre and self.state is SessionState.RUNNING:
            effects += self._advance(now)
        return effects + self._go_on(now)

    def closed(self, centre: str, state: PointState) -> None:
        """Take the final state that a point was given on `Close`."""
        self._closed.add(centre)
        self._visited(self._seat(centre), state)

    def decided(self, centre: str, state: PointState, now: float) -> list[Effect]:
        """Take a person's verdict on a point: it is not asked any more. Raises NotFoundError, WrongMomentError."""
        self._must(UNDER_WAY, "give a verdict")
        seat = self._seat(centre)
        effects: list[Effect] = [Stop(centre)] if seat.open else []
        self._closed.add(centre)
        self._visited(seat, state)
        return effects + self._go_on(now)

    def retest(self, centre: str, now: float) -> list[Effect]:
        """Ask a point once more at once; raises NotFoundError, WrongMomentError."""
        self._must({SessionState.RUNNING, SessionState.MAKEUP}, "test a centre again")
        seat = self._seat(centre)
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

    def preempt(self, now: float) -> list[Effect]:
        """Give way to a higher tier after the notice; a call that has ended or gives way already says nothing."""
        if self.state not in UNDER_WAY - {SessionState.PREEMPTED} or self._notice_ends is not None:
            return []
        self._notice_ends = now + self.profile.preempt_notice_s
        return [Notice(self.profile.preempt_notice_s)]

    def free(self, now: float) -> list[Effect]:
        """Go on after the higher tier has finished; a call that was not interrupted is left as it is."""
        if self._notice_ends is not None:
            self._notice_ends = None
            return []
        return self._back(now) if self.state is SessionState.PREEMPTED else []

    def finish(self, now: float) -> list[Effect]:
        """End it now: what is open gets its final state. A call that gave way ends as partial."""
        self._must(UNDER_WAY, "end")
        partial = self.state is SessionState.PREEMPTED
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
                effects += self._open(self._seat(centre), now)
        if self.mode is Mode.SEQUENTIAL and self.stage is not None and self.state is SessionState.RUNNING:
            effects += self._to_stage(self.stage, now)
        return effects + self._go_on(now)

    # inside

    def _go_on(self, now: float) -> list[Effect]:
        """Open what may be opened, close what is over, and see whether the call is."""
        if self.state is SessionState.MAKEUP:
            return self._make_up(now)
        if self.state is not SessionState.RUNNING:
            return []
        effects = self._open_waiting(now)
        if self._staged or self._waiting or self._opened:
            return effects
        if self.makes_up and self._queued:
            return [*effects, *self._move(SessionState.MAKEUP), *self._make_up(now)]
        return [*effects, *self._close_all(), *self._end(SessionState.REVIEWING)]

    @property
    def _staged(self) -> bool:
        """Tell whether somebody stands on stage whom only the caller lets go."""
        return self.stage is not None and not self.profile.auto_next and self.state is SessionState.RUNNING

    def _open_waiting(self, now: float) -> list[Effect]:
        if self.mode is Mode.SEQUENTIAL:
            return []
        chosen = list(islice(self._waiting.values(), max(0, self._free)))
        return [effect for seat in chosen for effect in self._open(seat, now)]

    def _make_up(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for seat in [*self._queued.values()]:
            if now >= self._ends(seat):
                self._closed.add(seat.centre)
                self._file(seat)
                effects.append(Close(seat.centre))
            elif now >= seat.due and self._free > 0:
                effects += self._open(seat, now)
        if not self._queued and not self._opened:
            effects += self._close_all() + self._end(SessionState.REVIEWING)
        return effects

    def _file(self, seat: Seat) -> None:
        """Keep the three lists in step with a point that changed."""
        code = seat.centre
        for kept in (self._waiting, self._opened, self._queued):
            kept.pop(code, None)
        if seat.open:
            self._opened[code] = seat
        elif not seat.visited:
            self._waiting[code] = seat
        elif seat.state in QUEUED and code not in self._closed:
            self._queued[code] = seat

    def _visited(self, seat: Seat, state: PointState) -> None:
        seat.open, seat.visited, seat.state = False, True, state
        self._file(seat)

    def _unsettled(self, seat: Seat) -> bool:
        return seat.centre not in self._closed and (seat.state not in FINAL or seat.state in QUEUED)

    def _open(self, seat: Seat, now: float) -> list[Effect]:
        late = self.state is SessionState.MAKEUP
        seat.open = True
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

    def _after(self, centre: str | None) -> str | None:
        """Return the first point after `centre` that nobody has asked, else the first of all."""
        waiting = [code for code in self._waiting if code != centre]
        if centre is None or not waiting:
            return waiting[0] if waiting else None
        order = {code: number for number, code in enumerate(self.seats)}
        return next((code for code in waiting if order[code] > order[centre]), waiting[0])

    def _preempted(self, now: float) -> list[Effect]:
        self._notice_ends = None
        if self.state is not SessionState.PAUSED:
            self._before, self._held_since = self.state, now
        return [*self._stop_all(), *self._move(SessionState.PREEMPTED)]

    def _back(self, now: float) -> list[Effect]:
        """Go on where it was held; the time that it stood still is added to what each point has left."""
        since = self._held_since if self._held_since is not None else now
        for seat in self.seats.values():
            if seat.rung_at is not None:
                seat.rung_at += now - since
        state = self._before or SessionState.RUNNING
        self._before, self._held_since = None, None
        effects = self._move(state)
        if self.mode is Mode.SEQUENTIAL and self.stage is not None:
            effects += self._to_stage(self.stage, now)
        return effects + self._go_on(now)

    def _stop_all(self) -> list[Effect]:
        stopped = [*self._opened.values()]
        for seat in stopped:
            seat.open = False
            self._file(seat)
        return [Stop(seat.centre) for seat in stopped]

    def _close_all(self) -> list[Effect]:
        return [Close(seat.centre) for seat in self.seats.values() if self._unsettled(seat)]

    def _end(self, state: SessionState) -> list[Effect]:
        staged = self.stage is not None
        self.stage, self._notice_ends = None, None
        return [*([Stage(None, None)] if staged else []), *self._move(state), Ended()]

    def _move(self, state: SessionState) -> list[Effect]:
        self.state = state
        return [Moved(state)]

    def _seat(self, centre: str) -> Seat:
        if centre not in self.seats:
            raise NotFoundError(f"{centre} is not in this roll call")
        return self.seats[centre]

    def _must(self, states: Iterable[SessionState], what: str) -> None:
        if self.state not in states:
            raise WrongMomentError(f"cannot {what}: the roll call is {self.state}")
