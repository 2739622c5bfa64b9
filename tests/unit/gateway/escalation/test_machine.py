"""The course of a chain: no deadline is lost or comes twice, nobody is told after an acknowledgement."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.escalation.chains import default_chain
from gateway.escalation.machine import Effect, HandUp, Note, Phase, Reopen, Run, Seen, Stop, Tell, force, ring, see
from protocols.tiers import Tier

T0 = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
COUNTY, CITY = default_chain(Tier.COUNTY), default_chain(Tier.CITY)
RED = Seen(opened=1, severity=1, active=True, shown=True, home=True)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def begun(seen: Seen = RED, chain=COUNTY) -> tuple[Run, list[Effect]]:
    run, effects = see(None, seen, chain, T0)
    assert run is not None
    return run, effects


def played(run: Run, seen: Seen, chain, until_s: float) -> list[tuple[float, Effect]]:
    """Ring every timer in time; returns effects with their seconds."""
    done: list[tuple[float, Effect]] = []
    while run.due_at is not None and run.due_at <= at(until_s):
        now = run.due_at
        after, effects = ring(run, seen, chain, now)
        assert after is not None
        done += [((now - T0).total_seconds(), effect) for effect in effects]
        assert after != run, "a timer that changes nothing would ring for ever"
        run = after
    return done


def kinds(done: list[tuple[float, Effect]]) -> list[tuple[float, str]]:
    return [(seconds, type(effect).__name__) for seconds, effect in done]


def test_a_red_alarm_climbs_as_the_domain_rules_say() -> None:
    run, first = begun()
    assert [type(effect) for effect in first] == [Tell]
    assert kinds(played(run, RED, COUNTY, 300)) == [(60, "Tell"), (180, "Tell"), (300, "HandUp")]


def test_the_chain_repeats_and_then_is_spent_but_hands_up_once() -> None:
    run, _ = begun()
    done = kinds(played(run, RED, COUNTY, 1e6))
    assert sum(kind == "HandUp" for _, kind in done) == 1
    assert sum(kind == "Tell" for _, kind in done) == 2 + 2 * 3


def test_an_acknowledgement_holds_and_its_time_out_reopens() -> None:
    run, _ = begun()
    acked = replace(RED, acknowledged_at=at(30), acknowledged_here=True)
    held, effects = see(run, acked, COUNTY, at(30))
    assert held is not None
    assert (held.phase, effects, held.due_at) == (Phase.HELD, [Stop("acknowledged")], at(30 + 1800))
    fired, effects = ring(held, acked, COUNTY, at(1830))
    assert effects == [Reopen()]
    assert fired is not None
    again, effects = see(fired, RED, COUNTY, at(1830))
    assert again is not None
    assert again.phase is Phase.CLIMBING
    assert [type(effect) for effect in effects] == [Note, Tell]


def test_an_acknowledgement_from_elsewhere_holds_without_a_timer() -> None:
    run, _ = begun()
    held, _ = see(run, replace(RED, acknowledged_at=at(30)), COUNTY, at(31))
    assert held is not None
    assert held.due_at is None


def test_the_tier_above_waits_for_the_word_of_the_tier_below_or_for_its_silence() -> None:
    below = replace(RED, home=False)
    run, effects = begun(below, CITY)
    assert (run.phase, effects, run.due_at) == (Phase.WATCHING, [], at(360))
    told, effects = see(run, replace(below, handed=True), CITY, at(300))
    assert [type(effect) for effect in effects] == [Note, Tell]
    assert told is not None
    assert told.due_at == at(600)
    silent, effects = ring(run, below, CITY, at(360))
    assert effects[0] == Note("below_silent")
    assert silent is not None
    assert silent.phase is Phase.CLIMBING


def test_a_shelved_alarm_pauses_and_goes_on_with_the_time_that_was_left() -> None:
    orange = replace(RED, severity=2)
    run, _ = begun(orange)
    paused, _ = see(run, replace(orange, shown=False), COUNTY, at(100))
    assert paused is not None
    assert (paused.phase, paused.due_at) == (Phase.PAUSED, None)
    resumed, _ = see(paused, orange, COUNTY, at(1000))
    assert resumed is not None
    assert resumed.due_at == at(1080)
    assert kinds(played(resumed, orange, COUNTY, 2000)) == [(1080, "Tell"), (1500, "HandUp")]


def test_a_late_timer_looks_before_it_acts() -> None:
    run, _ = begun()
    cleared = replace(RED, active=False)
    done, effects = ring(run, cleared, COUNTY, at(86_400))
    assert effects == [Stop("cleared")]
    assert done is not None
    assert done.phase is Phase.DONE


def test_escalating_by_hand_goes_up_once_or_at_the_top_takes_the_next_step() -> None:
    run, _ = begun()
    forced, effects = force(run, COUNTY, at(5), by="王", why="人员被困", top=False)
    assert effects == [HandUp("王", "人员被困")]
    assert forced is not None
    assert "HandUp" not in [kind for _, kind in kinds(played(forced, RED, COUNTY, 1e6))]
    forced, effects = force(run, COUNTY, at(5), by="王", why="", top=True)
    assert [type(effect) for effect in effects] == [Tell]


def test_a_graver_raise_begins_the_graver_ladder() -> None:
    yellow = replace(RED, severity=3)
    run, _ = begun(yellow)
    graver, effects = see(run, RED, COUNTY, at(5))
    assert graver is not None
    assert (graver.severity, graver.due_at) == (1, at(65))
    assert effects[0] == Stop("superseded")


class Chains(RuleBasedStateMachine):
    """Everything that can befall an alarm, in any order, with timers that ring in time or late."""

    @initialize(home=st.booleans(), severity=st.integers(1, 3))
    def begin(self, home: bool, severity: int) -> None:
        self.now = T0
        self.chain = COUNTY if home else CITY
        self.seen = Seen(1, severity, active=True, shown=True, home=home)
        self.run: Run | None = None
        self.told: set[tuple[int, datetime, int, int]] = set()
        self.look()

    def take(self, outcome: tuple[Run | None, list[Effect]]) -> None:
        before, (self.run, effects) = self.run, outcome
        for effect in effects:
            if isinstance(effect, Tell | HandUp):
                assert self.seen.active
                assert self.seen.shown
                assert self.seen.acknowledged_at is None
            if isinstance(effect, Tell):
                assert self.run is not None
                began = self.run.began_at if self.run.round == effect.round else (before or self.run).began_at
                told = (self.seen.opened, began, effect.round, effect.number)
                assert told not in self.told, "told twice"
                self.told.add(told)

    def look(self) -> None:
        self.take(see(self.run, self.seen, self.chain, self.now))

    @rule(seconds=st.integers(1, 4000))
    def time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        for _ in range(100):
            if self.run is None or self.run.due_at is None or self.run.due_at > self.now:
                return
            before = self.run
            effects_of = ring(self.run, self.seen, self.chain, self.now)
            self.take(effects_of)
            assert self.run != before, "a timer rang and is still there"
            if Reopen() in effects_of[1]:
                self.seen = replace(self.seen, acknowledged_at=None, acknowledged_here=False)
                self.look()
        raise AssertionError("timers ring for ever")

    @precondition(lambda self: self.seen.active and self.seen.acknowledged_at is None)
    @rule(here=st.booleans())
    def acknowledge(self, here: bool) -> None:
        self.seen = replace(self.seen, acknowledged_at=self.now, acknowledged_here=here)
        self.look()

    @precondition(lambda self: self.seen.active)
    @rule()
    def clear(self) -> None:
        self.seen = replace(self.seen, active=False)
        self.look()

    @precondition(lambda self: not self.seen.active)
    @rule(severity=st.integers(1, 3))
    def raise_again(self, severity: int) -> None:
        self.now += timedelta(seconds=1)
        opened = self.seen.opened + 1
        self.seen = Seen(opened, severity, active=True, shown=True, home=self.seen.home)
        self.look()

    @precondition(lambda self: self.seen.severity > 1)
    @rule()
    def shelve_or_show(self) -> None:
        self.seen = replace(self.seen, shown=not self.seen.shown)
        self.look()

    @precondition(lambda self: self.seen.active and not self.seen.home)
    @rule()
    def handed(self) -> None:
        self.seen = replace(self.seen, handed=True)
        self.look()

    @rule()
    def woken_for_nothing(self) -> None:
        before = self.run
        self.look()
        assert self.run == before

    @invariant()
    def never_stalls(self) -> None:
        if self.run is None:
            return
        if self.run.phase is Phase.CLIMBING:
            assert self.run.due_at is not None
        if self.run.phase in {Phase.SPENT, Phase.PAUSED, Phase.DONE}:
            assert self.run.due_at is None
        if not self.seen.active:
            assert self.run.phase is Phase.DONE


Chains.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestChains = Chains.TestCase
