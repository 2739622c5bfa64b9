from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.rollcall.rules.bulletin import (
    Bulletin,
    figures,
    good_rate,
    head,
    line_hash,
    plain,
    praise,
    problems,
    seal,
    tally,
)
from gateway.rollcall.rules.sheet import Line, Looked
from protocols.rollcall import AbsenceReason, Cause, PointState

AT = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)
GOOD = Line(number=1, centre="320623", name="如东县", state=PointState.PASSED, connect_s=2.0, picture=Looked("good"))
LATE = Line(number=2, centre="320612", name="通州区", state=PointState.PASSED_LATE, connect_s=4.0)
ISSUE = replace(GOOD, number=3, centre="320613", name="崇川区", state=PointState.PASSED_WITH_ISSUES, issues=("sound",))
GONE = Line(
    number=4,
    centre="320614",
    name="海门区",
    state=PointState.ABSENT,
    reason=AbsenceReason.NO_LINK,
    cause=Cause.LINE,
    picture=Looked("bad", ("lost",)),
)
SILENT = replace(
    GONE, number=5, centre="320681", name="启东市", reason=AbsenceReason.NO_ANSWER, cause=Cause.COUNTY_STAFF
)
EXCUSED = Line(number=6, centre="320682", name="如皋市", state=PointState.EXCUSED)
ALL = (GOOD, LATE, ISSUE, GONE, SILENT, EXCUSED)


def bulletin(lines=ALL, **changes):
    made = Bulletin(
        number="点名通报〔2026〕1号",
        issue=1,
        version=1,
        centre="320600",
        roll_call_id="01JB0000000000000000000000",
        kind="daily",
        called_at=AT,
        caller="张三",
        reviewer="李四",
        published_at=AT,
        publisher="李四",
        drill=False,
        tally=tally(lines),
        problems=problems(lines),
        praise=praise(lines),
        lines={line.centre: line_hash(line) for line in lines},
    )
    return replace(made, **changes)


def test_the_figures_add_up():
    told = tally(ALL)
    assert (told.due, told.present, told.first, told.makeup, told.missing, told.excused) == (5, 3, 2, 1, 2, 1)
    assert told.at_post_rate == 3 / 5
    assert told.picture_rate == 2 / 4
    assert told.sound_rate is None
    assert told.connect_s == 2.7
    assert told.causes == {"county_staff": 1, "line": 1}


def test_a_rate_of_nothing_is_a_dash_never_a_hundred_percent():
    told = dict(figures(plain(bulletin((EXCUSED,)))))
    assert (told["在岗率"], told["图像合格率"], told["平均接通用时(s)"], told["归因统计"]) == ("–", "–", "–", "–")
    assert good_rate(["", "unknown"]) is None
    assert good_rate(["good", "unproven"]) == 0.5


def test_a_unit_is_named_with_its_fault_and_whose_it_is():
    assert problems(ALL) == (
        "崇川区：声音",
        "海门区：未到（链路故障）（线路）",
        "启东市：未到（未应答）",
    )
    assert praise(ALL) == ("如东县",)


def test_the_head_leaves_out_what_is_empty():
    told = dict(head(plain(bulletin())))
    assert told["文号"] == "点名通报〔2026〕1号"
    assert told["点名时间"] == "2026-03-01 09:10:00"
    assert "更正说明" not in told
    assert "版本" not in told
    again = dict(head(plain(bulletin(version=2, corrects="误判"))))
    assert (again["版本"], again["更正说明"]) == ("第2版", "误判")


def test_the_seal_notices_any_change():
    content = plain(bulletin())
    sealed = seal(content)
    assert sealed == seal(plain(bulletin()))
    assert sealed != seal(content | {"demands": "x"})
    other = bulletin((replace(GOOD, note="改"), *ALL[1:]))
    assert seal(plain(other)) != sealed


@given(st.lists(st.sampled_from(ALL), max_size=30))
def test_present_and_missing_make_due(lines):
    told = tally(lines)
    assert told.present + told.missing == told.due
    assert told.first + told.makeup == told.present
    assert told.due + told.excused == len(lines)
