"""Present only on a fresh picture seen alive; every absence has its reason."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rollcall.machine import Keep, Look, Point, Profile, Ring, Settled, contradict, judge
from protocols.health import Verdict
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH, Sample
from protocols.rollcall import AbsenceReason, PointState

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
            if isinstance(effect, Settled):
                return effect
            if isinstance(effect, Ring):
                return next(e for e in point.answered(told, now + 0.2) if isinstance(e, Settled))
        now += PROFILE.look_every_s
    raise AssertionError("never settled")


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
    assert verdict.state is (PointState.PASSED if reason is None else PointState.ABSENT)


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


def test_a_cut_county_is_absent_at_once():
    assert Point(PROFILE).start(link_up=False, camera_known=True) == [Settled(PointState.ABSENT, AbsenceReason.NO_LINK)]


def test_a_link_that_breaks_while_ringing_is_no_link():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    assert point.link(up=False, now=1.0) == [Settled(PointState.ABSENT, AbsenceReason.NO_LINK)]


def test_a_silent_county_is_rung_twice_and_then_absent():
    point = Point(PROFILE)
    assert point.start(link_up=True, camera_known=True) == [Ring(1)]
    assert point.unanswered(30.0) == [Ring(2)]
    assert point.unanswered(60.0) == [Settled(PointState.ABSENT, AbsenceReason.NO_ANSWER)]


def test_no_camera_is_no_picture():
    assert Point(PROFILE).start(link_up=True, camera_known=False) == [
        Settled(PointState.ABSENT, AbsenceReason.NO_PICTURE)
    ]


def test_no_picture_in_time():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    assert point.unseen(3.0) == [Look(3.0)]
    assert point.deadline == PROFILE.picture_within_s
    assert point.unseen(15.0) == [Settled(PointState.ABSENT, AbsenceReason.NO_PICTURE)]


def test_a_picture_that_stops_in_the_window_is_no_picture():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    point.picture(moving(1.0), 1.0)
    point.picture(moving(2.0), 2.0)
    assert point.deadline is not None
    assert point.tick(point.deadline) == [Settled(PointState.ABSENT, AbsenceReason.NO_PICTURE)]


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
        verdicts = [e for e in point.picture(still(now), now) if isinstance(e, Settled)]
        now += PROFILE.look_every_s
    assert verdicts[0].reason is AbsenceReason.UNPROVEN


def test_a_long_cut_while_verifying_is_no_link_and_not_no_picture():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.LIVE, 0.0)
    point.link(up=False, now=1.0)
    assert point.tick(PROFILE.picture_within_s + 0.5) == []
    assert point.tick(1.0 + PROFILE.grace_s) == [Settled(PointState.ABSENT, AbsenceReason.NO_LINK)]


def test_an_owner_who_changes_his_mind_is_believed():
    point = Point(PROFILE)
    point.start(link_up=True, camera_known=True)
    point.answered(Verdict.FROZEN, 0.0)
    now, asked = 0.5, False
    while not asked:
        asked = any(isinstance(e, Ring) for e in point.picture(moving(now), now))
        now += PROFILE.look_every_s
    assert point.answered(Verdict.LIVE, now) == [Settled(PointState.PASSED)]


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


def test_no_combination_of_words_makes_a_dead_picture_present():
    for told in (*Verdict, None):
        for seen in Verdict:
            if judge(seen, told) is None:
                assert seen in {Verdict.LIVE, Verdict.UNPROVEN}
                assert seen is Verdict.LIVE or told is Verdict.LIVE
                assert not contradict(seen, told)


_STORIES = st.lists(
    st.tuples(
        st.sampled_from(["answer", "silence", "live", "still", "black", "nothing", "cut", "back", "tick"]),
        st.sampled_from([*Verdict, None]),
        st.floats(0, 12),
    ),
    max_size=80,
)


@given(_STORIES)
def test_whatever_happens_a_point_settles_once_and_is_never_left_waiting_for_nothing(story):
    point, now, pending, seen, verdicts = Point(PROFILE), 0.0, [], [], []

    def take(effects):
        pending.extend(effect for effect in effects if isinstance(effect, Ring | Look))
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
            case "cut" | "back":
                take(point.link(up=name == "back", now=now))
            case _:
                take(point.tick(now))
        assert len(verdicts) <= 1
        assert point.settled == bool(verdicts)
        if not point.settled:
            assert pending or point.deadline is not None
    if verdicts and verdicts[0].state is PointState.PASSED:
        assert len(seen) >= 2
        assert "live" in seen or len(set(seen)) > 1 or point.told is Verdict.LIVE
