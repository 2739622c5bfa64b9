"""Present only on a fresh picture seen alive; every absence has its reason."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rollcall.machine import (
    CREDIT_S,
    RING_LEAST_S,
    Challenge,
    Keep,
    Look,
    Point,
    Ring,
    Settled,
    Weigh,
    contradict,
    judge,
)
from gateway.rollcall.rules.profiles import Profile
from protocols.grain import BLOCKS, CELL, Grain
from protocols.health import Verdict
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH, Sample
from protocols.rollcall import PRESENT, AbsenceReason, Check, CheckName, CheckResult, Defect, PointState

PROFILE = Profile()
SIZE = THUMB_WIDTH * THUMB_HEIGHT


def moving(at: float) -> Sample:
    return Sample(at, 120.0, 50.0, random.Random(int(at * 1000)).randbytes(SIZE))


def still(at: float) -> Sample:
    return Sample(at, 120.0, 50.0, bytes(range(256)) * 2 + bytes(64))


def nearly_still(at: float) -> Sample:
    return Sample(at, 120.0, 50.0, bytes([int(at * 10) % 2]) + bytes(range(255)) * 2 + bytes(65))


def black(at: float) -> Sample:
    return Sample(at, 16.0, 0.5, bytes(SIZE))


def covered(at: float) -> Sample:
    return Sample(at, 90.0, 1.0, bytes([90]) * SIZE)


def settle(point: Point, sample_at, told: Verdict | None) -> Settled:
    point.start(link_up=True, camera_known=True)
    point.answered(told, 0.0)
    now = 0.5
    for _ in range(40):
        for effect in point.picture(sample_at(now), now):
            match effect:
                case Settled():
                    return effect
                case Ring():
                    return closed(point, point.answered(told, now + 0.2), now)
                case Weigh() | Challenge():
                    return closed(point, [effect], now)
                case _:
                    pass
        now += PROFILE.look_every_s
    raise AssertionError("never settled")


def closed(point: Point, effects, now: float, *, confirmed: bool = False, checks=()) -> Settled:
    """Weigh, and answer a challenge, until the round is over."""
    for _ in range(4):
        match effects[0]:
            case Settled():
                return effects[0]
            case Weigh():
                effects = point.weighed(checks, now)
            case Challenge():
                effects = point.challenged(now, confirmed=confirmed)
            case _:
                raise AssertionError(effects)
    raise AssertionError("never settled")


def check(name: CheckName, result: CheckResult, defect: Defect | None = None) -> Check:
    return Check(name=name, result=result, defect=defect, at="2026-05-01T08:30:00+08:00")


@pytest.mark.parametrize(
    ("sample_at", "told", "reason"),
    [
        (moving, Verdict.LIVE, None),
        (moving, None, None),
        (moving, Verdict.NO_PICTURE, None),
        (still, Verdict.LIVE, AbsenceReason.UNPROVEN),
        (still, None, AbsenceReason.UNPROVEN),
        (still, Verdict.FROZEN, AbsenceReason.FROZEN),
        (nearly_still, Verdict.LIVE, None),
        (nearly_still, Verdict.FROZEN, AbsenceReason.FROZEN),
        (nearly_still, None, AbsenceReason.UNPROVEN),
        (nearly_still, Verdict.UNPROVEN, AbsenceReason.UNPROVEN),
        (black, Verdict.LIVE, AbsenceReason.BLACK),
        (covered, Verdict.LIVE, AbsenceReason.COVERED),
        (moving, Verdict.FROZEN, AbsenceReason.FROZEN),
    ],
)
def test_what_the_pictures_prove(sample_at, told, reason):
    point = Point(PROFILE)
    verdict = settle(point, sample_at, told)
    assert verdict.reason is reason
    assert verdict.state is (PointState.PASSED if reason is None else PointState.FAILED)


def test_nobody_is_present_before_the_whole_window_was_seen():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    assert Keep() in point.picture(moving(1.0), 1.0)
    assert point.state is PointState.VERIFYING
    now = 1.0
    while now < 1.0 + PROFILE.observe_s - PROFILE.look_every_s:
        now += PROFILE.look_every_s
        effects = point.picture(moving(now), now)
        assert [type(effect) for effect in effects] == [Look]


def test_a_cut_county_has_lost_its_link_at_once():
    lost = Settled(PointState.LINK_LOST, AbsenceReason.NO_LINK)
    assert Point(PROFILE).start(link_up=False, camera_known=True) == [lost]


def test_a_link_that_breaks_while_ringing_is_no_link():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    assert point.link(up=False, now=1.0) == [Settled(PointState.LINK_LOST, AbsenceReason.NO_LINK)]


def test_a_silent_county_is_rung_twice_and_has_then_not_answered():
    point = Point(PROFILE)
    assert point.start(link_up=True, camera_known=True) == [Ring(1)]
    assert point.unanswered(30.0) == [Ring(2)]
    assert point.unanswered(60.0) == [Settled(PointState.NO_ANSWER, AbsenceReason.NO_ANSWER)]


def test_no_camera_is_no_picture():
    assert Point(PROFILE).start(link_up=True, camera_known=False) == [
        Settled(PointState.FAILED, AbsenceReason.NO_PICTURE)
    ]


def test_no_picture_in_time():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    assert point.unseen(3.0) == [Look(3.0)]
    assert point.deadline == PROFILE.picture_within_s
    assert point.unseen(15.0) == [Settled(PointState.FAILED, AbsenceReason.NO_PICTURE)]


def test_a_picture_that_stops_in_the_window_is_no_picture():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    point.picture(moving(1.0), 1.0)
    point.picture(moving(2.0), 2.0)
    assert point.deadline is not None
    assert point.tick(point.deadline) == [Settled(PointState.FAILED, AbsenceReason.NO_PICTURE)]


def test_a_short_cut_while_verifying_is_forgiven_and_watched_anew():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    point.picture(still(1.0), 1.0)
    assert point.link(up=False, now=2.0) == []
    assert point.tick(2.0 + PROFILE.grace_s - 0.1) == []
    assert point.link(up=True, now=21.0) == []
    now = 22.0
    verdicts = []
    while not verdicts and now < 60:
        verdicts = [e for e in point.picture(still(now), now) if isinstance(e, Challenge)]
        now += PROFILE.look_every_s
    assert closed(point, verdicts, now).reason is AbsenceReason.UNPROVEN


def test_a_long_cut_while_verifying_is_no_link_and_not_no_picture():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    point.link(up=False, now=1.0)
    assert point.tick(PROFILE.picture_within_s + 0.5) == []
    assert point.tick(1.0 + PROFILE.grace_s) == [Settled(PointState.LINK_LOST, AbsenceReason.NO_LINK)]


def test_an_owner_who_changes_his_mind_is_believed():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.FROZEN, 0.0)
    now, asked = 0.5, False
    while not asked:
        asked = any(isinstance(e, Ring) for e in point.picture(moving(now), now))
        now += PROFILE.look_every_s
    assert closed(point, point.answered(Verdict.LIVE, now), now) == Settled(PointState.PASSED)


def test_a_resumed_point_is_looked_at_and_not_rung():
    point = Point(PROFILE)
    assert point.resume(Verdict.LIVE, link_up=True, now=5.0) == [Look(5.0)]
    assert point.state is PointState.CONNECTING


def test_a_settled_point_hears_nothing_more():
    point = Point(PROFILE)
    point.start(link_up=False, camera_known=True)
    assert point.answered(Verdict.LIVE, 1.0) == []
    assert point.picture(moving(1.0), 1.0) == []
    assert point.link(up=True, now=1.0) == []
    assert point.tick(1e9) == []
    assert point.deadline is None


def watched(sample_at, told=None, *, late: bool = False, profile: Profile = PROFILE):
    """Return a point at the end of its window, what it then asks, and the time."""
    point, now = Point(profile, late=late), 0.5
    point.start(link_up=True, camera_known=True)
    point.answered(told, 0.0)
    while True:
        effects = [e for e in point.picture(sample_at(now), now) if isinstance(e, Weigh | Challenge | Settled)]
        if effects:
            return point, effects, now
        now += profile.look_every_s


def test_an_unproven_picture_calls_for_the_number_and_passes_with_it():
    point, effects, now = watched(still, Verdict.LIVE)
    assert effects == [Challenge()]
    assert point.challenged_now
    assert point.deadline == now + PROFILE.challenge_within_s
    assert closed(point, effects, now, confirmed=True) == Settled(PointState.PASSED)


def test_a_room_that_moves_while_the_number_is_out_needs_no_number():
    point, _, now = watched(still, Verdict.LIVE)
    assert point.picture(still(now + 1), now + 1) == [Look(now + 1 + PROFILE.look_every_s)]
    assert point.unseen(now + 1.5) == [Look(now + 1.5)]
    assert point.picture(moving(now + 2), now + 2) == [Weigh()]
    assert point.weighed((), now + 3) == [Settled(PointState.PASSED)]


def test_a_picture_that_is_lost_dark_while_the_number_is_out_fails():
    point, _, now = watched(still, Verdict.LIVE)
    assert point.picture(black(now + 2), now + 2) == [Settled(PointState.FAILED, AbsenceReason.BLACK)]


def test_a_picture_that_stands_still_is_doubted_half_way():
    point, effects, now = watched(still, Verdict.UNPROVEN)
    assert effects == [Challenge()]
    assert PROFILE.observe_s / 2 <= now < PROFILE.observe_s
    assert point.deadline == now + PROFILE.challenge_within_s
    assert closed(point, effects, now, confirmed=True) == Settled(PointState.PASSED)


def test_a_doubted_picture_is_still_watched_to_the_end_of_its_window():
    for sample_at, ends in ((moving, Weigh()), (black, Settled(PointState.FAILED, AbsenceReason.BLACK))):
        point, _, now = watched(still, Verdict.UNPROVEN)
        while (said := point.picture(sample_at(now), now)) != [ends]:
            assert said == [Look(now + PROFILE.look_every_s)]
            now += PROFILE.look_every_s
        assert now >= 0.5 + PROFILE.observe_s


def recording(at: float) -> Sample:
    """Return a picture of a recording of 3 s: it moves, and comes back."""
    number = int(at * 10 + 0.5) % 30
    draw = random.Random(number)
    grain = Grain(bytes(round(draw.gauss(0, 16)) & 0xFF for _ in range(BLOCKS * CELL)))
    return Sample(at, 120.0, 50.0, random.Random(number).randbytes(SIZE), grain=grain, exact=f"{number}")


def test_a_recording_that_came_back_is_doubted_at_once_whatever_the_owner_says():
    point, effects, now = watched(recording, Verdict.LIVE)
    assert effects == [Challenge()]
    assert now < PROFILE.observe_s
    late = point.tick(now + PROFILE.challenge_within_s)
    assert late == [Settled(PointState.FAILED, AbsenceReason.UNPROVEN)]


def test_a_quiet_room_that_its_owner_proved_is_not_troubled():
    _, effects, now = watched(nearly_still, Verdict.LIVE)
    assert effects == [Weigh()]
    assert now >= PROFILE.observe_s


def test_a_picture_that_was_decoded_late_is_judged_as_it_arrived():
    point, at, lag = Point(PROFILE), 0.5, 3.5 * PROFILE.look_every_s
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    while (said := point.picture(moving(at), at + lag)) != [Weigh()]:
        assert not any(isinstance(effect, Settled) for effect in said)
        at += PROFILE.look_every_s


def test_time_that_the_gateway_lost_is_given_to_the_county_to_a_limit():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    point.delayed(4.0)
    assert point.deadline == PROFILE.picture_within_s + 4.0
    point.delayed(1e6)
    point.delayed(1.0)
    assert point.deadline == PROFILE.picture_within_s + CREDIT_S
    late = point.tick(point.deadline)
    assert late == [Settled(PointState.FAILED, AbsenceReason.NO_PICTURE)]
    point.delayed(5.0)
    assert point.settled


def test_where_the_evidence_asks_for_the_number_no_movement_replaces_it():
    point, _, now = watched(moving, Verdict.LIVE)
    point.weighed([check(CheckName.PICTURE, CheckResult.UNPROVEN)], now)
    assert not point.watching
    assert point.picture(moving(now + 2), now + 2) == []
    late = point.tick(now + PROFILE.challenge_within_s)
    assert late == [Settled(PointState.FAILED, AbsenceReason.UNPROVEN)]


def test_a_number_that_does_not_come_back_in_time_leaves_it_unproven():
    point, _, now = watched(still, Verdict.LIVE)
    assert point.tick(now + PROFILE.challenge_within_s - 0.1) == []
    late = point.tick(now + PROFILE.challenge_within_s)
    assert late == [Settled(PointState.FAILED, AbsenceReason.UNPROVEN)]


def test_without_time_for_the_number_an_unproven_picture_fails_at_once():
    profile = PROFILE.model_copy(update={"challenge_within_s": 0.0})
    _, effects, _ = watched(still, profile=profile)
    assert effects == [Settled(PointState.FAILED, AbsenceReason.UNPROVEN)]


def test_a_frozen_picture_is_never_saved_by_a_number():
    point, effects, now = watched(still, Verdict.FROZEN)
    assert effects == [Settled(PointState.FAILED, AbsenceReason.FROZEN)]
    assert point.challenged(now, confirmed=True) == []


def test_a_person_may_ask_for_the_number_while_the_picture_is_watched():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    assert point.challenge(0.0) == []
    point.answered(Verdict.LIVE, 0.0)
    point.picture(moving(1.0), 1.0)
    assert point.challenge(2.0) == [Challenge()]
    assert point.challenge(2.5) == []
    assert point.picture(moving(3.0), 3.0) == []
    assert point.challenged(4.0, confirmed=True) == [Weigh()]


def test_a_cut_line_while_the_number_is_out_is_watched_anew():
    point, _, now = watched(still, Verdict.LIVE)
    point.link(up=False, now=now + 1)
    point.link(up=True, now=now + 2)
    assert (point.state, point.challenged_now) == (PointState.CONNECTING, False)
    assert Keep() in point.picture(still(now + 3), now + 3)


@pytest.mark.parametrize(
    ("checks", "late", "state", "reason"),
    [
        ([], False, PointState.PASSED, None),
        ([], True, PointState.PASSED_LATE, None),
        ([check(CheckName.SOUND, CheckResult.BAD, Defect.SILENT)], False, PointState.PASSED_WITH_ISSUES, None),
        (
            [check(CheckName.PICTURE, CheckResult.BAD, Defect.REPLAY)],
            False,
            PointState.FAILED,
            AbsenceReason.REPLAY,
        ),
    ],
)
def test_the_checks_are_weighed(checks, late, state, reason):
    point, effects, now = watched(moving, Verdict.LIVE, late=late)
    assert closed(point, effects, now, checks=checks) == Settled(state, reason)


def test_a_check_that_cannot_prove_the_picture_calls_for_the_number():
    point, effects, now = watched(moving, Verdict.LIVE)
    assert effects == [Weigh()]
    doubt = [check(CheckName.PICTURE, CheckResult.UNPROVEN)]
    assert point.weighed(doubt, now) == [Challenge()]
    assert point.challenged(now, confirmed=True) == [Weigh()]
    assert point.weighed(doubt, now) == [Settled(PointState.PASSED)]


def test_what_happens_while_the_checks_are_gathered_changes_nothing():
    point, _, now = watched(moving, Verdict.LIVE)
    assert point.link(up=False, now=now) == []
    assert point.tick(now + 1000) == []
    assert point.answered(Verdict.FROZEN, now) == []
    assert point.deadline is None


def test_no_combination_of_words_makes_a_dead_picture_present():
    for told in (*Verdict, None):
        for seen in Verdict:
            if judge(seen, told) is None:
                assert seen in {Verdict.LIVE, Verdict.UNPROVEN}
                assert seen is Verdict.LIVE or told is Verdict.LIVE
                assert not contradict(seen, told)


_STORIES = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer", "silence", "live", "still", "black", "nothing", "cut", "back", "tick", "weigh", "read", "ask"]
        ),
        st.sampled_from([*Verdict, None]),
        st.floats(0, 12),
    ),
    max_size=80,
)


@given(_STORIES)
def test_whatever_happens_a_point_settles_once_and_is_never_left_waiting_for_nothing(story):
    point, now, pending, seen, verdicts, proven = Point(PROFILE), 0.0, [], [], [], False

    def take(effects):
        pending.extend(effect for effect in effects if isinstance(effect, Ring | Look | Weigh))
        verdicts.extend(effect for effect in effects if isinstance(effect, Settled))

    take(point.start(link_up=True, camera_known=True))
    for name, told, step in story:
        now += step
        rings = [effect for effect in pending if isinstance(effect, Ring)]
        looks = [effect for effect in pending if isinstance(effect, Look)]
        match name:
            case "answer" | "silence" if rings:
                pending.remove(rings[0])
                take(point.answered(told, now) if name == "answer" else point.unanswered(now))
            case "live" | "still" | "black" | "nothing" if looks:
                pending.remove(looks[0])
                if name == "nothing":
                    take(point.unseen(now))
                else:
                    seen.append(name)
                    take(point.picture({"live": moving, "still": still, "black": black}[name](now), now))
            case "weigh" if Weigh() in pending:
                pending.remove(Weigh())
                take(point.weighed([], now))
            case "read":
                proven = proven or (point.challenged_now and told is Verdict.LIVE)
                take(point.challenged(now, confirmed=told is Verdict.LIVE))
            case "ask":
                take(point.challenge(now))
            case "cut" | "back":
                take(point.link(up=name == "back", now=now))
            case _:
                take(point.tick(now))
        assert len(verdicts) <= 1
        assert point.settled == bool(verdicts)
        if not point.settled:
            assert pending or point.deadline is not None
    if verdicts and verdicts[0].state in PRESENT:
        assert seen
        alive = "live" in seen or len(set(seen)) > 1 or point.told is Verdict.LIVE
        assert alive or proven


def test_a_ring_of_before_a_restart_has_less_time_but_always_enough_to_be_answered():
    point = Point(Profile())
    assert point.start(link_up=True, camera_known=True, rang_s=12.0) == [Ring(1, 12.0)]
    assert Ring(1, 12.0).left_s(30.0) == 18.0
    assert Ring(1, 99.0).left_s(30.0) == RING_LEAST_S
    assert Ring(1, 99.0).left_s(0.4) == 0.4
    assert point.unanswered(18.0) == [Ring(2)], "the next one has its whole time"
