"""A whole call on a manual clock: who is asked, who again, and that it ends."""

import contextlib
import heapq
import random
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.rollcall.machine import Challenge, Keep, Look, Point, Ring, Settled, Weigh
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.session import Close, Ended, Freeze, Moved, Notice, Open, Probe, Session, Stage, Stop
from gateway.rollcall.rules.verdict import at_the_end
from protocols.errors import NotFoundError, WrongMomentError
from protocols.health import Verdict
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH, Sample
from protocols.rollcall import FINAL, UNDER_WAY, Mode, PointState, SessionState

CENTRES = ("320612", "320613", "320614")
PROFILE = Profile(parallel=2)
P, S = PointState, SessionState


def session(mode=Mode.PARALLEL, **more) -> Session:
    return Session.of(PROFILE.model_copy(update=more), CENTRES, mode)


def opened(effects):
    return [effect.centre for effect in effects if isinstance(effect, Open)]


def test_a_parallel_call_asks_as_many_as_there_are_places_and_then_the_next():
    call = session()
    effects = call.begin(0.0)
    assert effects[:2] == [Moved(S.RUNNING), Freeze()]
    assert opened(effects) == ["320612", "320613"]
    assert opened(call.ended("320613", P.PASSED, 5.0)) == ["320614"]
    assert call.ended("320612", P.PASSED, 6.0) == []
    assert call.ended("320614", P.PASSED, 7.0) == [Moved(S.REVIEWING), Ended()]


def test_who_is_missing_is_asked_again_until_ten_minutes_after_the_first_ring():
    call = session(parallel=3)
    call.begin(0.0)
    call.ended("320612", P.PASSED, 10.0)
    call.ended("320613", P.LINK_LOST, 1.0)
    effects = call.ended("320614", P.NO_ANSWER, 60.0)
    assert Moved(S.MAKEUP) in effects
    assert effects[-1] == Open("320613", late=True)
    assert call.deadline == 90.0
    assert call.tick(90.0) == [Open("320614", late=True)]
    assert call.ended("320613", P.PASSED_LATE, 95.0) == []
    call.ended("320614", P.NO_ANSWER, 150.0)
    assert call.deadline == 180.0
    call.tick(180.0)
    call.ended("320614", P.NO_ANSWER, 590.0)
    assert call.deadline == 600.0
    assert call.tick(600.0) == [Close("320614"), Moved(S.REVIEWING), Ended()]


def test_a_round_that_began_in_time_may_end_after_it():
    call = session(parallel=3, makeup_every_s=599.0)
    call.begin(0.0)
    for centre in CENTRES[:2]:
        call.ended(centre, P.PASSED, 1.0)
    call.ended("320614", P.LINK_LOST, 0.5)
    assert opened(call.tick(599.6)) == ["320614"]
    assert call.tick(700.0) == []
    assert call.ended("320614", P.PASSED_LATE, 701.0) == [Moved(S.REVIEWING), Ended()]


def test_a_test_call_makes_nothing_up():
    call = session(parallel=3)
    call.makes_up = False
    call.begin(0.0)
    call.ended("320612", P.PASSED, 1.0)
    call.ended("320613", P.PASSED, 1.0)
    assert call.ended("320614", P.NO_ANSWER, 2.0) == [Close("320614"), Moved(S.REVIEWING), Ended()]


def test_one_after_the_other_the_next_is_prefetched_and_the_last_is_let_go_by_the_caller():
    call = session(Mode.SEQUENTIAL)
    assert call.begin(0.0)[2:] == [Stage("320612", "320613"), Open("320612", late=False)]
    assert call.ended("320612", P.PASSED, 20.0) == []
    assert call.next(21.0) == [Stage("320613", "320614"), Open("320613", late=False)]
    assert call.next(22.0) == [Stage("320614", None), Open("320614", late=False)], "silent ones are passed over"
    call.ended("320613", P.PASSED, 30.0)
    assert call.ended("320614", P.PASSED, 40.0) == []
    assert call.next(41.0) == [Stage(None, None), Moved(S.REVIEWING), Ended()]


def test_the_caller_may_name_any_centre_and_one_with_a_verdict_is_not_asked_twice():
    call = session(Mode.SEQUENTIAL)
    call.begin(0.0)
    call.ended("320612", P.PASSED, 5.0)
    assert call.next(6.0, "320614") == [Stage("320614", "320613"), Open("320614", late=False)]
    assert call.next(7.0, "320612") == [Stage("320612", "320613")]
    with pytest.raises(NotFoundError):
        call.next(8.0, "999999")


def test_with_auto_next_it_steps_by_itself():
    call = session(Mode.SEQUENTIAL, auto_next=True)
    call.begin(0.0)
    effects = call.ended("320612", P.PASSED, 5.0)
    assert effects == [Stage("320613", "320614"), Open("320613", late=False)]
    call.ended("320613", P.PASSED, 6.0)
    assert call.ended("320614", P.PASSED, 7.0) == [Stage(None, None), Moved(S.REVIEWING), Ended()]


def test_a_planned_call_probes_before_and_begins_on_time():
    call = session()
    call.state, call.planned_at = S.SCHEDULED, 10_000.0
    assert call.deadline == 9_100.0
    assert call.tick(9_099.9) == []
    assert call.tick(9_100.0) == [Moved(S.PRECHECKING), Probe(silent=False)]
    assert call.probed("320612") == call.probed("320613") == []
    assert call.probed("320614") == [Moved(S.READY)]
    assert call.deadline == 10_000.0
    assert Moved(S.RUNNING) in call.tick(10_000.0)


def test_a_random_call_probes_late_and_silently_and_needs_no_probe_to_begin():
    call = session()
    call.state, call.planned_at, call.hidden = S.SCHEDULED, 10_000.0, True
    assert call.tick(9_880.0) == [Moved(S.PRECHECKING), Probe(silent=True)]
    effects = call.tick(10_000.0)
    assert effects[:3] == [Moved(S.READY), Moved(S.RUNNING), Freeze()]


def test_with_confirm_it_waits_for_the_callers_word():
    call = session(confirm=True)
    call.state, call.planned_at = S.SCHEDULED, 1000.0
    call.tick(1000.0)
    assert (call.state, call.deadline) == (S.READY, None)
    assert Moved(S.RUNNING) in call.begin(1010.0)


def test_a_pause_opens_nothing_and_its_time_is_given_back():
    call = session()
    call.begin(0.0)
    assert call.pause(10.0) == [Moved(S.PAUSED)]
    assert call.ended("320612", P.NO_ANSWER, 60.0) == []
    effects = call.resume(1010.0)
    assert effects == [Moved(S.RUNNING), Open("320614", late=False)]
    call.ended("320613", P.PASSED, 1011.0)
    call.ended("320614", P.PASSED, 1012.0)
    assert call.state is S.MAKEUP
    assert call.seats["320612"].rung_at == 1000.0
    with pytest.raises(WrongMomentError):
        call.resume(1013.0)


def test_a_higher_tier_takes_over_with_notice_and_the_rest_is_asked_afterwards():
    call = session()
    call.begin(0.0)
    call.ended("320612", P.PASSED, 1.0)
    assert call.preempt(10.0) == [Notice(5.0)]
    assert call.preempt(11.0) == []
    assert call.deadline == 15.0
    assert call.tick(15.0) == [Stop("320613"), Stop("320614"), Moved(S.PREEMPTED)]
    assert call.ended("320613", P.PASSED, 16.0) == [], "a round that ends after all is kept"
    assert call.free(100.0) == [Moved(S.RUNNING), Open("320614", late=False)]


def test_a_call_that_gave_way_can_end_as_partial():
    call = session()
    call.begin(0.0)
    call.ended("320612", P.PASSED, 1.0)
    call.preempt(2.0)
    call.tick(7.0)
    assert call.finish(8.0) == [Close("320613"), Close("320614"), Moved(S.PARTIAL), Ended()]


def test_who_is_freed_within_the_notice_was_never_interrupted():
    call = session()
    call.begin(0.0)
    call.preempt(1.0)
    assert call.free(2.0) == []
    assert (call.state, call.deadline) == (S.RUNNING, None)


def test_an_excused_centre_is_not_asked_and_does_not_hold_the_call_up():
    call = session(Mode.SEQUENTIAL)
    call.begin(0.0)
    effects = call.aside("320612", P.EXCUSED, 1.0)
    assert effects == [Stop("320612"), Stage("320613", "320614"), Open("320613", late=False)]
    call.aside("320614", P.SKIPPED, 2.0)
    call.ended("320613", P.PASSED, 3.0)
    assert call.next(4.0)[-1] == Ended()


def test_a_persons_verdict_stands_and_a_late_round_does_not_change_it():
    call = session(parallel=3)
    call.begin(0.0)
    assert call.decided("320612", P.FAILED, 1.0) == [Stop("320612")]
    assert call.ended("320612", P.PASSED, 2.0) == []
    assert call.seats["320612"].state is P.FAILED
    call.ended("320613", P.PASSED, 3.0)
    assert call.ended("320614", P.PASSED, 3.0)[-1] == Ended(), "the make-up does not take it up again"


def test_a_centre_may_be_tested_again():
    call = session(parallel=3)
    call.begin(0.0)
    with pytest.raises(WrongMomentError):
        call.retest("320612", 1.0)
    call.ended("320612", P.FAILED, 2.0)
    assert call.retest("320612", 3.0) == [Open("320612", late=False)]


def test_a_restart_takes_up_the_rounds_that_were_under_way():
    call = session(parallel=3)
    call.state = S.RUNNING
    call.seats["320612"].state, call.seats["320612"].visited = P.PASSED, True
    assert opened(call.restored(0.0, ["320614"])) == ["320614", "320613"]
    held = session(parallel=3)
    held.state = S.PAUSED
    assert held.restored(0.0, []) == []
    assert opened(held.resume(1.0)) == list(CENTRES)


def test_a_restart_in_a_hold_gives_no_point_its_time_anew_and_takes_none_from_it():
    held = session(parallel=3, presence_s=600)
    held.state = S.PAUSED
    for seat in held.seats.values():
        seat.state, seat.visited, seat.rung_at = P.NO_ANSWER, True, -500.0
    held.seats["320614"].state = P.RINGING
    assert held.restored(0.0, ["320614"], held_s=300.0) == []
    assert set(opened(held.resume(50.0))) == set(CENTRES), "who was being rung in the make-up is rung on"
    for centre in CENTRES:
        held.ended(centre, P.NO_ANSWER, 60.0)
    assert held.seats["320612"].rung_at == -150.0, "350 s stood still, 200 of 600 had passed before"
    assert [e for e in held.tick(449.0) if isinstance(e, Close)] == []
    assert {e.centre for e in held.tick(450.0) if isinstance(e, Close)} <= set(CENTRES)


def test_a_cancelled_call_asks_nothing_more():
    call = session()
    call.begin(0.0)
    assert call.cancel() == [Stop("320612"), Stop("320613"), Moved(S.CANCELLED), Ended()]
    with pytest.raises(WrongMomentError):
        call.cancel()
    with pytest.raises(WrongMomentError):
        call.next(1.0)


class Country:
    """Three thousand counties on a manual clock: each a real point with a story, all rules and no shell."""

    def __init__(self, count: int, seed: int) -> None:
        self.draw = random.Random(seed)
        self.codes = [f"{number:06}" for number in range(100_000, 100_000 + count)]
        self.stories = {code: self.draw.choices(STORIES, WEIGHTS)[0] for code in self.codes}
        self.call = Session.of(Profile(parallel=100), self.codes)
        self.points: dict[str, Point] = {}
        self.rounds: dict[str, int] = dict.fromkeys(self.codes, 0)
        self.result: dict[str, PointState] = {}
        self.queue: list[tuple[float, int, object]] = []
        self.number = 0
        self.now = 0.0
        self.over = False

    def at(self, when: float, what) -> None:
        self.number += 1
        heapq.heappush(self.queue, (when, self.number, what))

    def run(self) -> None:
        self.perform(self.call.begin(0.0))
        while not self.over:
            deadline = self.call.deadline
            if self.queue and (deadline is None or self.queue[0][0] <= deadline):
                self.now, _, what = heapq.heappop(self.queue)
                what()
            else:
                assert deadline is not None, "a call that waits for nothing would never end"
                self.now = max(self.now, deadline)
                self.perform(self.call.tick(self.now))

    def perform(self, effects) -> None:
        for effect in effects:
            match effect:
                case Open(code, late):
                    self.open(code, late)
                case Close(code):
                    state = at_the_end(self.call.seats[code].state, None)
                    self.call.closed(code, state)
                    self.result[code] = state
                case Ended():
                    self.over = True
                case _:
                    pass

    def open(self, code: str, late: bool) -> None:
        self.rounds[code] += 1
        point = self.points[code] = Point(Profile(), late=late)
        cut = self.stories[code] == "cut" or (self.stories[code] == "cut at first" and not late)
        self.step(code, point.start(link_up=not cut, camera_known=True))

    def step(self, code: str, effects) -> None:
        point, story = self.points[code], self.stories[code]
        for effect in effects:
            match effect:
                case Ring():
                    silent = story == "silent" or (story == "late" and self.rounds[code] == 1)
                    after = 30.0 if silent else self.draw.uniform(0.1, 2.0)
                    answer = point.unanswered if silent else lambda now: point.answered(TOLD.get(story), now)
                    self.at(self.now + after, lambda answer=answer: self.step(code, answer(self.now)))
                case Look(not_before):
                    when = max(self.now, not_before) + 0.1
                    if point.deadline is not None:
                        self.at(point.deadline, lambda: self.step(code, point.tick(self.now)))
                    self.at(when, lambda: self.step(code, self.look(code)))
                case Challenge():
                    confirmed = story == "still with a person"
                    self.at(
                        self.now + 4, lambda ok=confirmed: self.step(code, point.challenged(self.now, confirmed=ok))
                    )
                case Weigh():
                    self.step(code, point.weighed((), self.now))
                case Settled(state, _):
                    self.result[code] = state
                    self.perform(self.call.ended(code, state, self.now))
                case Keep():
                    pass

    def look(self, code: str):
        point, story = self.points[code], self.stories[code]
        if story == "dark":
            return point.unseen(self.now)
        frozen = story in {"frozen", "still with a person"}
        thumb = bytes(range(64)) * 9 if frozen else self.draw.randbytes(THUMB_WIDTH * THUMB_HEIGHT)
        return point.picture(Sample(self.now, 120.0, 50.0, thumb), self.now)


STORIES = ("good", "silent", "late", "cut", "cut at first", "dark", "frozen", "still with a person")
WEIGHTS = (90, 2, 2, 1, 1, 1, 2, 1)
TOLD = {"frozen": Verdict.FROZEN, "still with a person": None, "good": Verdict.LIVE}
OUTCOME = {
    "good": P.PASSED,
    "silent": P.ABSENT,
    "late": P.PASSED_LATE,
    "cut": P.UNREACHABLE,
    "cut at first": P.PASSED_LATE,
    "dark": P.FAILED,
    "frozen": P.FAILED,
    "still with a person": P.PASSED,
}


def test_three_thousand_counties_on_a_manual_clock():
    began = time.process_time()
    country = Country(3000, seed=20_200_801)
    country.run()
    assert country.result == {code: OUTCOME[country.stories[code]] for code in country.codes}
    assert set(country.stories.values()) == set(STORIES)
    good = [code for code in country.codes if country.stories[code] == "good"]
    assert {country.rounds[code] for code in good} == {1}, "nobody is asked twice who has a verdict"
    last = max(seat.rung_at for seat in country.call.seats.values())
    assert country.now <= last + Profile().presence_s + 60, "the make-up ends ten minutes after the last first ring"
    print(f"3,000 counties: {country.now:.0f} s of the call in {time.process_time() - began:.1f} s of the machine")


class CallMachine(RuleBasedStateMachine):
    """Whatever people and counties do, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = [f"{number:06}" for number in range(320_601, 320_606)]
        self.now = 0.0
        self.opened: set[str] = set()
        self.asked: dict[str, int] = dict.fromkeys(self.codes, 0)
        self.over = 0
        self.call: Session | None = None

    @precondition(lambda self: self.call is None)
    @rule(
        mode=st.sampled_from(Mode), parallel=st.integers(1, 6), auto=st.booleans(), makes_up=st.booleans(),
        presence=st.sampled_from([0.0, 60.0, 600.0]),
    )  # fmt: skip
    def plan(self, mode, parallel, auto, makes_up, presence):
        profile = Profile(parallel=parallel, auto_next=auto, presence_s=presence)
        self.call = Session.of(profile, self.codes, mode)
        self.call.makes_up = makes_up
        self.take(self.call.begin(self.now))

    def take(self, effects):
        for effect in effects:
            match effect:
                case Open(code, _):
                    assert code not in self.opened, "opened twice at once"
                    self.opened.add(code)
                    self.asked[code] += 1
                case Stop(code):
                    assert code in self.opened
                    self.opened.discard(code)
                case Close(code):
                    self.call.closed(code, at_the_end(self.call.seats[code].state, None))
                case Ended():
                    self.over += 1
                case _:
                    pass

    def attempt(self, deed):
        with contextlib.suppress(WrongMomentError):
            self.take(deed())

    @precondition(lambda self: self.opened)
    @rule(data=st.data(), state=st.sampled_from([P.PASSED, P.FAILED, P.NO_ANSWER, P.LINK_LOST, P.PASSED_WITH_ISSUES]))
    def a_round_ends(self, data, state):
        code = data.draw(st.sampled_from(sorted(self.opened)))
        self.opened.discard(code)
        self.take(self.call.ended(code, state, self.now))

    @precondition(lambda self: self.call is not None)
    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 100.0, 700.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.take(self.call.tick(self.now))

    @precondition(lambda self: self.call is not None)
    @rule(data=st.data(), deed=st.sampled_from(["next", "pause", "resume", "preempt", "free", "aside", "retest"]))
    def a_person_acts(self, data, deed):
        code = data.draw(st.sampled_from(self.codes))
        match deed:
            case "next":
                self.attempt(lambda: self.call.next(self.now))
            case "aside":
                self.attempt(lambda: self.call.aside(code, P.EXCUSED, self.now))
            case "retest":
                self.attempt(lambda: self.call.retest(code, self.now))
            case _:
                self.attempt(lambda: getattr(self.call, deed)(self.now))

    @precondition(lambda self: self.call is not None)
    @rule(deed=st.sampled_from(["finish", "cancel"]), sure=st.integers(0, 9))
    def somebody_ends_it(self, deed, sure):
        if sure == 0:
            self.attempt(lambda: self.call.cancel() if deed == "cancel" else self.call.finish(self.now))

    @invariant()
    def it_ends_once_and_leaves_nobody_open(self):
        if self.call is None:
            return
        ended = self.call.state not in UNDER_WAY
        assert self.over == int(ended)
        if ended:
            assert not self.opened
        if self.call.state is S.REVIEWING:
            assert all(seat.state in FINAL for seat in self.call.seats.values())

    @invariant()
    def it_never_waits_for_nothing(self):
        if self.call is None or self.call.state in {S.PAUSED, S.PREEMPTED} or self.over:
            return
        staged = self.call.mode is Mode.SEQUENTIAL and self.call.state is S.RUNNING
        assert self.opened or self.call.deadline is not None or staged


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
