from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.rollcall.rules.cause import Facts, Silent, cause_of, many
from protocols.diary import Ending, NodeRecord, Span
from protocols.health import LinkReason, Verdict
from protocols.rollcall import AbsenceReason, Cause

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)


def at(seconds):
    return AT + timedelta(seconds=seconds)


HEARD = Facts("320623", at(60), AbsenceReason.NO_ANSWER, asked=7)
SILENT = Facts("320623", at(60), AbsenceReason.NO_LINK, since=at(0), link_reason=LinkReason.NO_HEARTBEAT, asked=7)


def ran(began, ended, **values):
    return Span(began_at=at(began), ended_at=at(ended), **{"network": True, **values})


def away(began, ended, ending):
    return Span(began_at=at(began), ended_at=at(ended), ending=ending)


def record(*spans):
    return NodeRecord(node="320623-box", began_at=at(0), ended_at=at(300), spans=spans)


def down(centre, seconds=5, carrier=""):
    return Silent(centre, at(seconds), carrier)


@pytest.mark.parametrize(
    ("spans", "cause"),
    [
        ((ran(-10, 300),), Cause.LINE),
        ((ran(-10, 300, on_battery=True),), Cause.LINE),
        ((ran(-10, 5), away(5, 290, Ending.REBOOT), ran(290, 300)), Cause.COUNTY_POWER),
        ((ran(-10, 5, on_battery=True, battery_ratio=0.1), away(5, 290, Ending.STOPPED)), Cause.COUNTY_POWER),
        ((ran(-10, 5, on_battery=True, battery_ratio=0.9), away(5, 290, Ending.STOPPED)), Cause.COUNTY_TERMINAL),
        ((ran(-10, 5), away(5, 290, Ending.STOPPED), ran(290, 300)), Cause.COUNTY_TERMINAL),
        ((ran(-10, 5), away(5, 290, Ending.CRASH), ran(290, 300)), Cause.COUNTY_TERMINAL),
        ((ran(-10, 300, network=False),), Cause.COUNTY_TERMINAL),
        ((ran(-10, 20), ran(20, 300, network=False)), Cause.LINE),
        ((ran(-10, 300, loopback=False),), Cause.COUNTY_TERMINAL),
        ((ran(-10, 300, network=None),), Cause.LINE),
    ],
)
def test_the_countys_own_record_goes_before_all_guesses(spans, cause):
    guessed_otherwise = replace(SILENT, on_battery=True, silent=[down("320681")])
    assert cause_of(replace(guessed_otherwise, record=record(*spans))) is cause


def test_a_record_says_nothing_of_another_time_nor_of_a_county_that_was_heard():
    later = NodeRecord(node="320623-box", began_at=at(500), ended_at=at(600), spans=(ran(500, 600),))
    assert cause_of(replace(SILENT, record=later)) is Cause.UNKNOWN
    assert cause_of(replace(HEARD, record=record(ran(-10, 300)))) is Cause.COUNTY_STAFF


def test_counties_that_all_ran_while_nobody_heard_them_do_not_make_it_their_lines_fault():
    ran_on = replace(SILENT, record=record(ran(-10, 300)))
    together = [down("320612", 3, "电信"), down("320681", 9, "移动"), down("320682", 5, "联通")]
    assert cause_of(replace(ran_on, carrier="电信", silent=together)) is Cause.PLATFORM
    assert cause_of(replace(ran_on, carrier="电信", silent=together[:1])) is Cause.LINE
    assert cause_of(replace(ran_on, earlier=Cause.PLATFORM)) is Cause.PLATFORM
    assert cause_of(replace(ran_on, break_above=True)) is Cause.UPPER_NETWORK


def test_many_counties_of_all_carriers_at_once_are_the_platforms_fault():
    silent = [down("320612", 3, "电信"), down("320681", -20, "移动"), down("320682", 59, "联通")]
    assert cause_of(replace(SILENT, carrier="电信", silent=silent)) is Cause.PLATFORM
    assert cause_of(replace(SILENT, silent=silent)) is Cause.PLATFORM
    assert cause_of(replace(SILENT, carrier="电信", silent=silent[:1])) is Cause.LINE
    apart = [down(f"32068{n}", 200 * (n + 1)) for n in range(5)]
    assert cause_of(replace(SILENT, silent=apart)) is Cause.UNKNOWN


def test_many_counties_of_one_carrier_at_once_are_its_line():
    silent = [down("320612", 3, "电信"), down("320681", -20, "电信"), down("320682", 59, "电信")]
    assert cause_of(replace(SILENT, carrier="电信", silent=silent)) is Cause.LINE
    assert cause_of(replace(SILENT, carrier="移动", silent=silent[:1])) is Cause.UNKNOWN


def test_a_break_above_the_county_is_the_upper_network():
    assert cause_of(replace(SILENT, break_above=True, on_battery=True)) is Cause.UPPER_NETWORK


def test_silence_after_battery_is_power_and_after_a_stop_the_terminal():
    assert cause_of(replace(SILENT, on_battery=True)) is Cause.COUNTY_POWER
    assert cause_of(replace(SILENT, on_battery=False)) is Cause.UNKNOWN
    assert cause_of(replace(SILENT, link_reason=LinkReason.AGENT_STOPPED)) is Cause.COUNTY_TERMINAL


@pytest.mark.parametrize("told", [Verdict.FROZEN, Verdict.BLACK, Verdict.COVERED, Verdict.NO_PICTURE])
def test_a_camera_that_its_own_box_calls_dead_is_the_terminals_fault(told):
    heard = replace(HEARD, answered=True, told=told, reason=AbsenceReason.NO_PICTURE)
    assert cause_of(heard) is Cause.COUNTY_TERMINAL


@pytest.mark.parametrize("reason", [AbsenceReason.FROZEN, AbsenceReason.REPLAY, AbsenceReason.BAD_PICTURE])
def test_a_picture_that_is_seen_to_be_bad_is_the_terminals_fault(reason):
    assert cause_of(replace(HEARD, answered=True, told=Verdict.LIVE, reason=reason)) is Cause.COUNTY_TERMINAL


def test_a_picture_that_never_comes_is_the_line_and_of_many_the_platform():
    unseen = replace(HEARD, answered=True, told=Verdict.LIVE, reason=AbsenceReason.NO_PICTURE, unseen=1)
    assert cause_of(unseen) is Cause.LINE
    assert cause_of(replace(unseen, unseen=4)) is Cause.PLATFORM


def test_a_box_that_is_well_and_a_room_where_nobody_answers_is_the_staff():
    assert cause_of(HEARD) is Cause.COUNTY_STAFF


def test_what_nothing_proves_is_unknown():
    assert cause_of(SILENT) is Cause.UNKNOWN
    assert cause_of(replace(HEARD, answered=True, reason=AbsenceReason.UNPROVEN)) is Cause.UNKNOWN
    assert cause_of(replace(HEARD, reason=None)) is Cause.UNKNOWN


def test_many_are_three_and_a_share_of_those_asked():
    assert not many(2, 3)
    assert many(3, 7)
    assert not many(3, 100)
    assert many(30, 100)
