"""The session over whole calls: three thousand counties on a manual clock, and any course of events."""

import contextlib
import heapq
import random
import time

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.rollcall.machine import Challenge, Keep, Look, Point, Ring, Settled, Weigh
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.session import Seat, Session
from gateway.rollcall.rules.steps import Close, Ended, Lent, Open, Stop
from gateway.rollcall.rules.verdict import at_the_end
from protocols.errors import WrongMomentError
from protocols.health import Verdict
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH, Sample
from protocols.rollcall import ASIDE, FINAL, PRESENT, UNDER_WAY, Mode, PointState, SessionState

CENTRES = ("320612", "320613", "320614")
PROFILE = Profile(parallel=2)
P, S = PointState, SessionState


def session(mode=Mode.PARALLEL, **more) -> Session:
    return Session.of(PROFILE.model_copy(update=more), CENTRES, mode)


def opened(effects):
    return [effect.centre for effect in effects if isinstance(effect, Open)]


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
        self.lent: set[str] = set()
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
                    assert code not in self.lent, "a higher tier asks it"
                    self.opened.add(code)
                    self.asked[code] += 1
                case Stop(code):
                    assert code in self.opened
                    self.opened.discard(code)
                case Close(code):
                    self.call.closed(code, at_the_end(self.call.seats[code].state, None))
                case Lent(code, over):
                    assert over == (code in self.lent), "lent and given back in turn"
                    (self.lent.discard if over else self.lent.add)(code)
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
    @rule(
        data=st.data(),
        deed=st.sampled_from(["next", "pause", "resume", "take", "give_back", "aside", "retest", "decided"]),
    )
    def a_person_acts(self, data, deed):
        code = data.draw(st.sampled_from(self.codes))
        match deed:
            case "next":
                self.attempt(lambda: self.call.next(self.now))
            case "aside":
                self.attempt(lambda: self.call.aside(code, P.EXCUSED, self.now))
            case "retest":
                self.attempt(lambda: self.call.retest(code, self.now))
            case "decided":
                self.attempt(lambda: self.call.decided(code, P.FAILED, self.now))
            case "take" | "give_back":
                some = data.draw(st.sets(st.sampled_from(self.codes), min_size=1))
                self.attempt(lambda: getattr(self.call, deed)(sorted(some), self.now))
            case _:
                self.attempt(lambda: getattr(self.call, deed)(self.now))

    @precondition(lambda self: self.call is not None and not self.over)
    @rule(clock_known=st.booleans())
    def the_gateway_is_killed(self, clock_known):
        before, asked = self.call, dict(self.asked)
        seats = {
            code: Seat(
                code,
                P.RINGING if seat.open else seat.state,
                seat.rung_at,
                visited=seat.visited,
                lent_at=seat.lent_at,
                opened_at=seat.opened_at,
            )
            for code, seat in before.seats.items()
        }
        after = Session(before.profile, seats, before.mode, before.state, makes_up=before.makes_up, stage=before.stage)
        for code in before._closed:
            after.closed(code, seats[code].state)
        interrupted, self.opened, self.call = sorted(self.opened), set(), after
        held = None if before._held_since is None or not clock_known else self.now - before._held_since
        self.take(after.restored(self.now, interrupted, held))
        settled = {code for code, seat in before.seats.items() if seat.state in PRESENT | ASIDE and not seat.open}
        assert all(self.asked[code] == asked[code] for code in settled), "nobody is asked twice who has a verdict"

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
