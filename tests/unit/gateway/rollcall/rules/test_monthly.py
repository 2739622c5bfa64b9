from dataclasses import replace

from gateway.rollcall import phrases
from gateway.rollcall.rules.monthly import cells, month
from gateway.rollcall.rules.sheet import Line, Looked
from protocols.rollcall import Cause, PointState

RUDONG = Line(number=1, centre="320623", name="如东县", state=PointState.PASSED, score=100.0, connect_s=2.0)
TONGZHOU = replace(RUDONG, centre="320612", name="通州区", score=90.0, picture=Looked("good"))
GONE = replace(TONGZHOU, state=PointState.ABSENT, score=60.0, connect_s=None, cause=Cause.COUNTY_STAFF)
CUT = replace(GONE, score=100.0, cause=Cause.LINE)


def test_the_best_unit_comes_first_and_faults_are_told_apart():
    best, second = month([RUDONG, RUDONG, TONGZHOU, GONE, CUT])
    assert (best.centre, best.due, best.present, best.at_post_rate, best.score) == ("320623", 2, 2, 1.0, 100.0)
    assert (second.centre, second.due, second.present) == ("320612", 3, 1)
    assert (second.own_faults, second.other_faults) == (1, 1)
    assert second.score == 83.3
    assert second.connect_s == 2.0


def test_the_trend_compares_with_the_month_before():
    found = month([TONGZHOU, RUDONG], [replace(TONGZHOU, score=80.0)])
    assert {one.centre: one.trend for one in found} == {"320612": 10.0, "320623": None}


def test_a_make_up_counts_as_there_but_not_at_once():
    (one,) = month([replace(RUDONG, state=PointState.PASSED_LATE)])
    assert (one.present, one.first) == (1, 0)


def test_a_unit_that_was_always_excused_has_no_rate():
    (one,) = month([replace(RUDONG, state=PointState.EXCUSED, score=None)])
    assert one.at_post_rate is None
    assert one.score is None
    assert cells([one])[0][5] == phrases.NONE


def test_the_table_has_a_text_for_every_column():
    rows = cells(month([RUDONG, TONGZHOU], [TONGZHOU]))
    assert all(len(row) == len(phrases.MONTH) for row in rows)
    assert [row[0] for row in rows] == ["1", "2"]
    assert rows[1][-1] == "+0"
    assert month([]) == ()
