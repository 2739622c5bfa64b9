"""The course of one alarm's chain: what is seen of the alarm and what time it is go in, effects come out.

::

    phase      meaning                                             timer
    watching   a gateway below sees to it; we wait for its word    silent_after_s where given, then climbing here
    climbing   steps are due one after the other                   always: the next step or the next round
    spent      all steps are done, nobody took it in hand          none
    paused     shelved: the rest of the time is kept               none
    held       acknowledged                                        reopen_after_s, where it was acknowledged here
    done       cleared                                             none

**Level, not edge**: `see` compares the alarm as it stands with the run, so a wake-up that is lost or repeated changes
nothing. An acknowledgement anywhere holds the chain here and at every tier that hears it; a clear ends it. A timer that
comes late is judged by what is seen now, never by what was true when it was set.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.escalation.chains import Chain, Ladder, Step

CHAIN = "chain"
"""Who hands an alarm up where no person did: the time ran out."""


class Phase(StrEnum):
    """Where a chain stands."""

    WATCHING = "watching"
    CLIMBING = "climbing"
    SPENT = "spent"
    PAUSED = "paused"
    HELD = "held"
    DONE = "done"


OPEN = frozenset({Phase.WATCHING, Phase.CLIMBING})
"""Phases in which time goes on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The alarm as it stands. `home`: no gateway below has it; `handed`: the tier below handed it to this centre."""

    opened: int
    severity: int
    active: bool
    shown: bool
    home: bool
    handed: bool = False
    acknowledged_at: datetime | None = None
    acknowledged_here: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One episode's chain. `step` is the next one, `due_at` its timer; the last three are kept while paused."""

    opened: int
    severity: int
    phase: Phase
    handed: bool
    began_at: datetime
    step: int = 0
    round: int = 0
    due_at: datetime | None = None
    upward_done: bool = False
    paused_at: datetime | None = None
    kept_due: datetime | None = None
    before: Phase | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the people of a step."""

    step: Step
    number: int
    round: int


@dataclass(frozen=True, slots=True)
class HandUp:
    """Hand the alarm to the tier above."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Void the acknowledgement: its time is over and the cause still stands."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Withdraw what has not been sent; `why`: acknowledged, cleared, shelved."""

    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """Write a line of the course."""

    what: str


Effect = Tell | HandUp | Reopen | Stop | Note
Outcome = tuple[Run | None, list[Effect]]


def see(run: Run | None, seen: Seen, chain: Chain, now: datetime) -> Outcome:
    """Bring the run in line with the alarm as it stands; an unchanged run comes back with no effects."""
    if run is not None and run.opened == seen.opened and run.phase is Phase.DONE:
        return run, []
    if not seen.active:
        return _end(run)
    if run is None or run.opened != seen.opened or seen.severity < run.severity:
        return _start(seen, chain, now, list(_dropped(run)))
    if seen.acknowledged_at is not None:
        return _hold(run, seen, chain)
    return _go_on(run, seen, chain, now)


def _go_on(run: Run, seen: Seen, chain: Chain, now: datetime) -> Outcome:
    """Look at an alarm that is active and waits for a person."""
    if run.phase is Phase.HELD:
        return _start(seen, chain, now, [Note("reopened")])
    if not seen.shown:
        return _pause(run, now)
    if run.phase is Phase.PAUSED:
        return _resumed(run, now), [Note("resumed")]
    if run.phase is Phase.WATCHING and seen.handed:
        return _climb(replace(run, phase=Phase.CLIMBING, began_at=now, due_at=now), chain, now, [Note("handed_here")])
    return run, []


def ring(run: Run, seen: Seen, chain: Chain, now: datetime) -> Outcome:
    """Act on the run's timer. What is seen decides first: an alarm acknowledged meanwhile is told to nobody."""
    looked, effects = see(run, seen, chain, now)
    if looked != run or looked is None or looked.due_at is None or looked.due_at > now:
        return looked, effects
    match looked.phase:
        case Phase.WATCHING:
            started = replace(looked, phase=Phase.CLIMBING, began_at=now)
            return _climb(started, chain, now, [Note("below_silent")])
        case Phase.HELD:
            return replace(looked, due_at=None), [Reopen()]
        case _:
            return _climb(looked, chain, now, [])


def force(run: Run, chain: Chain, now: datetime, *, by: str, why: str, top: bool) -> Outcome:
    """Escalate at once: hand the alarm up, or at the top take the next step before its time."""
    if not top:
        return replace(run, upward_done=True), [HandUp(by, why)]
    ladder = chain.ladder(run.severity, handed=run.handed)
    if run.phase is not Phase.CLIMBING or run.step >= len(ladder.steps):
        return run, []
    earlier = timedelta(seconds=ladder.steps[run.step].after_s)
    return _climb(replace(run, began_at=now - earlier, due_at=now), chain, now, [])


def _start(seen: Seen, chain: Chain, now: datetime, effects: list[Effect]) -> Outcome:
    handed = not seen.home
    ladder = chain.ladder(seen.severity, handed=handed)
    run = Run(seen.opened, seen.severity, Phase.CLIMBING, handed, now)
    if seen.acknowledged_at is not None:
        held, more = _hold(run, seen, chain)
        return held, effects + more
    if handed and not seen.handed:
        silence = ladder.silent_after_s
        due = None if silence is None else now + timedelta(seconds=silence)
        run = replace(run, phase=Phase.WATCHING, due_at=due)
        return _unless_hidden(run, seen, now, effects)
    if not seen.shown:
        run = replace(run, due_at=now)
        return _unless_hidden(run, seen, now, effects)
    return _climb(run, chain, now, effects)


def _unless_hidden(run: Run, seen: Seen, now: datetime, effects: list[Effect]) -> Outcome:
    if seen.shown:
        return run, effects
    paused, more = _pause(run, now)
    return paused, effects + more


def _climb(run: Run, chain: Chain, now: datetime, effects: list[Effect]) -> Outcome:
    """Take all steps that are due, and set the timer of the next."""
    ladder = chain.ladder(run.severity, handed=run.handed)
    step = run.step
    while step < len(ladder.steps) and run.began_at + timedelta(seconds=ladder.steps[step].after_s) <= now:
        effects.extend(_take(ladder.steps[step], step, run))
        run = replace(run, upward_done=run.upward_done or ladder.steps[step].upward)
        step += 1
    return _next(replace(run, step=step), ladder, now), effects


def _take(step: Step, number: int, run: Run) -> list[Effect]:
    taken: list[Effect] = [Tell(step, number, run.round)] if step.targets else []
    if step.upward and not run.upward_done:
        taken.append(HandUp(CHAIN, "no_acknowledgement"))
    return taken


def _next(run: Run, ladder: Ladder, now: datetime) -> Run:
    if run.step < len(ladder.steps):
        return replace(run, due_at=run.began_at + timedelta(seconds=ladder.steps[run.step].after_s))
    if ladder.steps and run.round < ladder.repeats:
        again = now + timedelta(seconds=ladder.repeat_every_s)
        first = again + timedelta(seconds=ladder.steps[0].after_s)
        return replace(run, step=0, round=run.round + 1, began_at=again, due_at=first)
    return replace(run, phase=Phase.SPENT, due_at=None)


def _hold(run: Run, seen: Seen, chain: Chain) -> Outcome:
    if run.phase is Phase.HELD:
        return run, []
    after = chain.ladder(run.severity, handed=run.handed).reopen_after_s
    due = None
    if after is not None and seen.acknowledged_here and seen.acknowledged_at is not None:
        due = seen.acknowledged_at + timedelta(seconds=after)
    return replace(_unpaused(run), phase=Phase.HELD, due_at=due), [Stop("acknowledged")]


def _end(run: Run | None) -> Outcome:
    if run is None or run.phase is Phase.DONE:
        return run, []
    return replace(_unpaused(run), phase=Phase.DONE, due_at=None), [Stop("cleared")]


def _pause(run: Run, now: datetime) -> Outcome:
    if run.phase is Phase.PAUSED:
        return run, []
    paused = replace(run, phase=Phase.PAUSED, due_at=None, paused_at=now, kept_due=run.due_at, before=run.phase)
    return paused, [Stop("shelved")]


def _resumed(run: Run, now: datetime) -> Run:
    # The beginning moves with the pause, so that later steps keep their distance.
    pause = timedelta(0) if run.paused_at is None else now - run.paused_at
    due = None if run.kept_due is None else run.kept_due + pause
    phase = run.before or Phase.SPENT
    return replace(_unpaused(run), phase=phase, began_at=run.began_at + pause, due_at=due)


def _unpaused(run: Run) -> Run:
    return replace(run, paused_at=None, kept_due=None, before=None)


def _dropped(run: Run | None) -> list[Effect]:
    return [] if run is None or run.phase is Phase.DONE else [Stop("superseded")]
