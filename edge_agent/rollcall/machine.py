"""What a county's box knows of the calls that reach it: who rings, who answered, who stands on stage.

**A turn that was answered stays answered: the same call is never rung twice at one desk.** Times are given as
arguments; `deadline` says when `tick` is due.

========== ============================== ========== =====================================================
stage      event                          next       why
========== ============================== ========== =====================================================
(none)     rung                           ringing    somebody above calls
ringing    rung again                     ringing    another attempt of the same call: the ring goes on
ringing    the same ring once more        ringing    the gateway was started anew: it is one attempt
ringing    lapsed                         ringing    the asker's deadline: a next attempt may follow
ringing    `GAP_S` over after a lapse     missed     nobody came
ringing    answered                       answered   a person, or the box by policy
ringing    declined                       declined   only a dispatch call: a roll call is not refused
answered   staged on, off                 on_stage,  the centre names this county, or another one
                                          answered
any open   over                           over       verdict told, hung up, replaced, or `LIFE_S` old
========== ============================== ========== =====================================================
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from protocols.command import CallRing, RollCallDetails, RollCallRing, RollCallStage, RosterName
from protocols.errors import NotFoundError, WrongMomentError

GAP_S = 10.0
"""A gateway rings again at once when an attempt brought nothing (domain.md 3.4); so much covers the line between."""
LIFE_S = 900.0
"""A turn of which nothing more is heard ends after the presence deadline (10 min) and half as much again."""
REMEMBERED = 20


class TurnKind(StrEnum):
    """What reached the county."""

    ROLL_CALL = "roll_call"
    CALL = "call"


class Stage(StrEnum):
    """Where a turn stands."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ON_STAGE = "on_stage"
    MISSED = "missed"
    DECLINED = "declined"
    OVER = "over"


OPEN = frozenset({Stage.RINGING, Stage.ANSWERED, Stage.ON_STAGE})
TALKING = frozenset({Stage.ANSWERED, Stage.ON_STAGE})


class Details(BaseModel):
    """What the county says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answered_by: str = Field(min_length=1, max_length=64)
    leader: str = Field(default="", max_length=32)
    people: int | None = Field(default=None, ge=0, le=99)
    note: str = Field(default="", max_length=500)


class Turn(BaseModel):
    """One call that reached this county; `id` is that of the roll call or of the dispatch call."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: TurnKind
    centre: str
    camera: str
    caller: str = ""
    caller_centre: str | None = None
    caller_centre_name: str = ""
    roll_call_kind: str = ""
    drill: bool = False
    challenge: str | None = None
    roster: tuple[RosterName, ...] = ()
    people_due: int | None = None
    rung_at: AwareDatetime
    attempts: int = 1
    lapses_at: AwareDatetime | None = None
    stage: Stage = Stage.RINGING
    by_person: bool = False
    details: Details | None = None
    answered_at: AwareDatetime | None = None
    muted: bool = True
    heard_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    ending: str = ""

    @property
    def open(self) -> bool:
        """Whether it still goes on."""
        return self.stage in OPEN


def turn_of(ring: RollCallRing | CallRing, now: datetime) -> Turn:
    """Return the turn that a ring begins."""
    if isinstance(ring, CallRing):
        return Turn(
            id=ring.call_id,
            kind=TurnKind.CALL,
            centre=ring.centre,
            camera=ring.camera,
            caller=ring.caller,
            caller_centre=ring.caller_centre,
            caller_centre_name=ring.caller_centre_name,
            rung_at=now,
            heard_at=now,
        )
    return Turn(
        id=ring.roll_call_id,
        kind=TurnKind.ROLL_CALL,
        centre=ring.centre,
        camera=ring.camera,
        caller=ring.caller,
        caller_centre=ring.caller_centre,
        caller_centre_name=ring.caller_centre_name,
        roll_call_kind=ring.kind,
        drill=ring.drill,
        challenge=ring.challenge,
        roster=ring.roster,
        people_due=ring.people_due,
        rung_at=now,
        heard_at=now,
    )


class Turns:
    """All turns of one box, the newest last.

    `counters`: rung, rung_again, repeated, answered_<by>, missed, declined, over.
    """

    def __init__(self, kept: tuple[Turn, ...] = ()) -> None:
        self.counters: Counter[str] = Counter()
        self._turns: dict[str, Turn] = {turn.id: turn for turn in kept}

    @property
    def all(self) -> tuple[Turn, ...]:
        """Every remembered turn, the oldest first."""
        return tuple(self._turns.values())

    def get(self, id_: str) -> Turn:
        """Return one turn; raises NotFoundError."""
        if id_ not in self._turns:
            raise NotFoundError(f"no call {id_} here; it may be long over")
        return self._turns[id_]

    def open(self, kind: TurnKind | None = None) -> Iterator[Turn]:
        """Yield the turns that go on."""
        return (turn for turn in self.all if turn.open and kind in (None, turn.kind))

    @property
    def ringing(self) -> Turn | None:
        """The newest turn that rings."""
        return next((turn for turn in reversed(self.all) if turn.stage is Stage.RINGING), None)

    @property
    def talks(self) -> bool:
        """Whether a roll call was answered here and goes on: its caller may then speak without a second ring."""
        return any(turn.stage in TALKING for turn in self.open(TurnKind.ROLL_CALL))

    @property
    def answerer(self) -> str:
        """Who answered the roll call that goes on here; empty without one, and where the box did."""
        people = [turn.details for turn in self.open(TurnKind.ROLL_CALL) if turn.by_person and turn.details]
        return people[-1].answered_by if people else ""

    def rung(self, turn: Turn, now: datetime, attempt: int = 0) -> Turn:
        """Take a ring: a fresh turn, or a further attempt of a known one.

        `attempt` is its number as the centre counts, 0 where it does not: one that comes again is not counted again.
        """
        known = self._turns.get(turn.id)
        if known is not None and known.stage in TALKING:
            return self._put(known, challenge=turn.challenge or known.challenge, heard_at=now)
        if known is not None and known.open:
            repeated = 0 < attempt <= known.attempts
            self.counters["repeated" if repeated else "rung_again"] += 1
            fresh = {
                "attempts": known.attempts if repeated else attempt or known.attempts + 1,
                "rung_at": known.rung_at,
            }
            return self._put(turn, **fresh, challenge=turn.challenge or known.challenge)
        for other in self.open(turn.kind):
            self.over(other.id, "replaced", now)
        self.counters["rung"] += 1
        self._turns.pop(turn.id, None)
        return self._put(turn, attempts=max(1, attempt))

    def lapsed(self, id_: str, now: datetime) -> None:
        """Take that the asker stopped waiting; it may ring again within `GAP_S`."""
        turn = self._turns.get(id_)
        if turn is not None and turn.stage is Stage.RINGING:
            self._put(turn, lapses_at=now + timedelta(seconds=GAP_S))

    def answered(self, id_: str, details: Details, now: datetime, *, by_person: bool) -> Turn:
        """Take the answer, or better details of it. Raises NotFoundError, WrongMomentError once it is over."""
        turn = self.get(id_)
        if not turn.open:
            raise WrongMomentError(f"this call is {turn.stage}; the centre calls again if it needs to")
        if turn.stage is Stage.RINGING:
            self.counters["answered_person" if by_person else "answered_box"] += 1
            turn = self._put(turn, stage=Stage.ANSWERED, answered_at=now, lapses_at=None, heard_at=now)
        return self._put(turn, details=details, by_person=turn.by_person or by_person)

    def staged(self, told: RollCallStage, now: datetime) -> Turn | None:
        """Take where the centre says this county stands; a roll call that is not known here is let go."""
        turn = self._turns.get(told.roll_call_id)
        if turn is None or not turn.open:
            return None
        if told.stage == "over":
            return self.over(turn.id, told.state or "over", now)
        turn = self._put(turn, challenge=told.challenge or turn.challenge, heard_at=now)
        if turn.stage not in TALKING:
            return turn
        return self._put(turn, stage=Stage.ON_STAGE if told.stage == "on" else Stage.ANSWERED, muted=told.muted)

    def declined(self, id_: str, now: datetime) -> Turn:
        """Refuse a dispatch call. Raises NotFoundError, WrongMomentError for a roll call and for what is over."""
        turn = self.get(id_)
        if turn.kind is TurnKind.ROLL_CALL or turn.stage is not Stage.RINGING:
            raise WrongMomentError("only a call that rings can be declined, and a roll call never")
        self.counters["declined"] += 1
        return self._put(turn, stage=Stage.DECLINED, ended_at=now, ending="declined")

    def over(self, id_: str, ending: str, now: datetime) -> Turn | None:
        """End a turn; one that is over or unknown is let go."""
        turn = self._turns.get(id_)
        if turn is None or not turn.open:
            return None
        missed = turn.stage is Stage.RINGING
        self.counters["missed" if missed else "over"] += 1
        return self._put(turn, stage=Stage.MISSED if missed else Stage.OVER, ended_at=now, ending=ending)

    @property
    def deadline(self) -> datetime | None:
        """When `tick` is due, None while nothing goes on."""
        return min((_ends(turn) for turn in self.open()), default=None)

    def tick(self, now: datetime) -> list[Turn]:
        """Let time pass; return the turns that ended by it."""
        due = [turn for turn in self.open() if now >= _ends(turn)]
        ended = [self.over(turn.id, "no_answer" if turn.stage is Stage.RINGING else "silent", now) for turn in due]
        return [turn for turn in ended if turn is not None]

    def _put(self, turn: Turn, **changes: object) -> Turn:
        changed = turn.model_copy(update=changes)
        self._turns[turn.id] = changed
        while len(self._turns) > REMEMBERED:
            closed = next((one.id for one in self.all if not one.open), next(iter(self._turns)))
            del self._turns[closed]
        return changed


def details_of(turn: Turn, now: datetime) -> RollCallDetails:
    """Return what goes up when a county adds to its answer."""
    if turn.details is None:
        raise AssertionError("a turn that was answered has details")
    return RollCallDetails(roll_call_id=turn.id, centre=turn.centre, at=now, **turn.details.model_dump())


def _ends(turn: Turn) -> datetime:
    """Return when an open turn ends by itself."""
    return turn.lapses_at or turn.heard_at + timedelta(seconds=LIFE_S)
