"""A whole call on a manual clock: who is asked, who again, and that it ends."""

import pytest

from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.session import Seat, Session
from gateway.rollcall.rules.steps import Close, Ended, Freeze, Lent, Moved, Notice, Open, Probe, Stage, Stop
from protocols.errors import NotFoundError, WrongMomentError
from protocols.rollcall import Mode, PointState, SessionState

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


def test_a_higher_tier_takes_one_point_with_notice_and_it_comes_back_to_its_place():
    call = session(parallel=1)
    call.begin(0.0)
    assert call.take(["320612", "999999"], 10.0) == [Notice(5.0, ("320612",))]
    assert (call.take(["320612"], 11.0), call.giving_way, call.gives_way_at) == ([], ("320612",), 15.0)
    assert call.take(["320614"], 12.0) == [Lent("320614")], "whom nobody is asking needs no notice"
    assert call.tick(15.0) == [Stop("320612"), Lent("320612"), Open("320613", late=False)], "the others go on"
    with pytest.raises(WrongMomentError):
        call.retest("320612", 16.0)
    assert call.give_back(["320614", "320612"], 100.0) == [Lent("320614", over=True), Lent("320612", over=True)]
    assert call.seats["320612"].rung_at == 100.0, "a round that was broken off takes none of its time"
    assert opened(call.ended("320613", P.PASSED, 101.0)) == ["320612"]
    assert opened(call.ended("320612", P.PASSED, 102.0)) == ["320614"]
    assert call.ended("320614", P.PASSED, 103.0) == [Moved(S.REVIEWING), Ended()]


def test_a_call_gives_way_as_a_whole_where_nothing_else_is_left():
    call = session()
    call.begin(0.0)
    call.ended("320612", P.PASSED, 1.0)
    assert call.take(CENTRES, 10.0) == [Notice(5.0, ("320613", "320614"))], "what is settled stays so"
    stopped = [Stop("320613"), Lent("320613"), Stop("320614"), Lent("320614")]
    assert call.tick(15.0) == [*stopped, Moved(S.PREEMPTED)]
    assert call.give_back(["320614"], 115.0)[-2:] == [Moved(S.RUNNING), Open("320614", late=False)]
    call.ended("320614", P.PASSED, 116.0)
    assert call.state is S.PREEMPTED
    assert call.give_back(["320613"], 215.0)[-2:] == [Moved(S.RUNNING), Open("320613", late=False)]
    assert call.seats["320613"].rung_at == 215.0, "no second of it is given back twice"


def test_a_round_that_ends_after_all_and_a_persons_verdict_are_kept():
    call = session()
    call.begin(0.0)
    call.take(CENTRES, 1.0)
    call.tick(6.0)
    assert call.state is S.PREEMPTED
    assert call.ended("320612", P.PASSED, 7.0) == [Lent("320612", over=True)]
    assert call.decided("320613", P.PASSED, 8.0) == [Lent("320613", over=True)]
    assert call.aside("320614", P.SKIPPED, 9.0)[-1] == Ended()
    assert call.state is S.REVIEWING


def test_who_stood_on_stage_comes_next_when_the_higher_tier_is_done():
    call = session(Mode.SEQUENTIAL)
    call.begin(0.0)
    call.take(["320612"], 1.0)
    assert call.tick(6.0) == [
        Stop("320612"), Lent("320612"), Stage("320613", "320614"), Open("320613", late=False),
    ]  # fmt: skip
    with pytest.raises(WrongMomentError):
        call.next(7.0, "320612")
    assert call.give_back(["320612"], 8.0) == [Lent("320612", over=True), Stage("320613", "320612")]
    assert call.next(9.0)[0] == Stage("320612", "320614")
    assert opened(call.next(10.0)) == ["320614"]


@pytest.mark.parametrize("restarted", [False, True])
def test_who_is_taken_from_the_stage_during_a_pause_is_not_rung_when_the_call_goes_on(restarted: bool):
    call = session(Mode.SEQUENTIAL)
    call.begin(0.0)
    call.pause(1.0)
    call.take(["320612"], 2.0)
    assert call.tick(7.0) == [Stop("320612"), Lent("320612")]
    if restarted:
        call.restored(8.0, [], 7.0)
    assert call.resume(9.0) == [Moved(S.RUNNING), Stage("320613", "320614"), Open("320613", late=False)]


def test_whoever_is_lent_is_not_the_one_who_comes_next():
    call = session(Mode.SEQUENTIAL)
    assert Stage("320612", "320613") in call.begin(0.0)
    assert call.take(["320613"], 1.0) == [Lent("320613"), Stage("320612", "320614")]
    assert opened(call.next(2.0)) == ["320614"]


def test_an_empty_stage_is_entered_by_who_comes_back_first():
    call = session(Mode.SEQUENTIAL)
    call.begin(0.0)
    call.take(CENTRES, 1.0)
    assert call.tick(6.0)[-2:] == [Stage(None, None), Moved(S.PREEMPTED)]
    assert call.give_back(["320614"], 7.0) == [
        Lent("320614", over=True), Moved(S.RUNNING), Stage("320614", None), Open("320614", late=False),
    ]  # fmt: skip


def test_whose_first_turn_comes_in_the_make_up_is_not_late():
    call = session(parallel=3)
    call.begin(0.0)
    call.take(["320612"], 1.0)
    call.tick(6.0)
    call.ended("320613", P.NO_ANSWER, 60.0)
    call.ended("320614", P.PASSED, 60.0)
    assert call.state is S.MAKEUP
    assert call.give_back(["320612"], 70.0)[-1] == Open("320612", late=False)
    call.ended("320612", P.PASSED, 75.0)
    assert opened(call.tick(90.0)) == ["320613"]


def test_a_pause_while_a_point_is_lent_gives_no_time_twice():
    call = session()
    call.begin(0.0)
    call.take(["320612"], 5.0)
    call.tick(10.0)
    call.pause(20.0)
    call.resume(30.0)
    call.pause(40.0)
    call.give_back(["320612"], 50.0)
    call.resume(60.0)
    assert call.seats["320612"].rung_at == 60.0
    assert call.seats["320613"].rung_at == 30.0


def test_only_the_round_that_was_broken_off_is_given_back_and_not_those_before_it():
    call = session(parallel=3, presence_s=100.0)
    call.begin(0.0)
    for code in CENTRES[1:]:
        call.ended(code, P.PASSED, 1.0)
    call.ended("320612", P.FAILED, 10.0)
    assert opened(call.tick(40.0)) == ["320612"]
    call.take(["320612"], 45.0)
    assert Lent("320612") in call.tick(50.0)
    assert opened(call.give_back(["320612"], 80.0)) == ["320612"]
    assert call.seats["320612"].rung_at == 40.0, "60 s are left, as when that round began"
    call.ended("320612", P.FAILED, 95.0)
    assert call.deadline == 125.0
    assert opened(call.tick(125.0)) == ["320612"], "it is asked again"
    call.ended("320612", P.FAILED, 139.0)
    assert call.deadline == 140.0
    assert Close("320612") in call.tick(140.0)


def test_a_pause_within_the_round_that_is_broken_off_counts_once():
    call = session()
    call.begin(0.0)
    call.pause(10.0)
    call.resume(20.0)
    call.take(["320612"], 21.0)
    call.tick(26.0)
    call.give_back(["320612"], 50.0)
    assert call.seats["320612"].rung_at == 50.0


def test_a_round_that_a_restart_took_up_began_before_it():
    call = session(parallel=3)
    call.state = S.RUNNING
    call.seats["320612"] = Seat("320612", P.VERIFYING, rung_at=-20.0, opened_at=-20.0)
    assert "320612" in opened(call.restored(0.0, ["320612"]))
    call.take(["320612"], 1.0)
    call.tick(6.0)
    call.give_back(["320612"], 30.0)
    assert call.seats["320612"].rung_at == 30.0


def test_a_call_that_gave_way_can_end_as_partial():
    call = session()
    call.begin(0.0)
    call.ended("320612", P.PASSED, 1.0)
    call.take(["320613"], 2.0)
    call.tick(7.0)
    assert call.finish(8.0) == [Stop("320614"), Close("320613"), Close("320614"), Moved(S.PARTIAL), Ended()]


def test_who_is_given_back_within_the_notice_was_never_interrupted():
    call = session()
    call.begin(0.0)
    call.take(CENTRES, 1.0)
    assert call.give_back(CENTRES, 2.0) == [Lent("320614", over=True)]
    assert (call.state, call.deadline) == (S.RUNNING, None)


def test_a_restart_leaves_to_the_higher_tier_what_it_has():
    call = session(parallel=3)
    call.state = S.RUNNING
    lent = call.seats["320613"] = Seat("320613", P.RINGING, rung_at=-50.0, lent_at=-40.0)
    assert opened(call.restored(0.0, ["320612", "320613"])) == ["320612", "320614"]
    assert opened(call.give_back(["320613"], 60.0)) == ["320613"]
    assert lent.rung_at == 50.0
    older = session(parallel=3)
    older.state = S.PREEMPTED  # as a version wrote it that gave way as a whole
    assert older.restored(0.0, []) == []
    assert opened(older.give_back(CENTRES, 1.0)) == list(CENTRES)


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
