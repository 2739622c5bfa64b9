from datetime import UTC, datetime

import pytest

from gateway.rollcall import phrases
from gateway.rollcall.rules.sheet import Line, Looked, cells, clock
from protocols.rollcall import AbsenceReason, Cause, CheckResult, Defect, PointState

AT = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)
FULL = Line(
    number=1,
    centre="320623",
    name="如东县",
    point="room",
    kind="random",
    planned_at=AT,
    rung_at=AT,
    connected_at=AT,
    connect_s=3.24,
    attempts=1,
    answered_by="值班员",
    state=PointState.PASSED_WITH_ISSUES,
    leader_due=("李四",),
    leader_there="王五",
    officers_due=("甲", "乙"),
    officers_there=("甲",),
    count_due=3,
    count_there=2,
    picture=Looked("good"),
    sound=Looked("bad", ("silent",)),
    rtt_ms=41.6,
    loss_ratio=0.0234,
    bitrate_kbps=1503.4,
    dress="good",
    business=4,
    issues=("sound", "other_leader"),
    cause=Cause.COUNTY_TERMINAL,
    makeup_at=AT,
    makeup_state=PointState.PASSED_LATE,
    score=81.5,
    stills=("a" * 64,),
    clips=("b" * 64,),
    caller="张三",
    reviewer="李雷",
    objection="当时有声音（待裁定）",
    revisions=("李雷：复看录像",),
    remedy_by=AT,
    feedback="已换麦克风",
    signed_at=AT,
    signed_by="王五",
    note="线路抖动",
)


def told(line):
    return dict(zip(phrases.COLUMNS, cells(line), strict=True))


def test_every_column_of_the_form_is_filled():
    assert {name for name, text in told(FULL).items() if not text} == set()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("点名类型", "随机抽查"),
        ("首呼时间", "2026-03-01 09:10:00"),
        ("接通用时(s)", "3.2"),
        ("带班领导(应/实)", "李四/王五"),
        ("值班员(应/实)", "甲、乙/甲"),
        ("到岗人数(应/实)", "3/2"),
        ("图像(结果/缺陷)", "合格"),
        ("声音(结果/缺陷)", "不合格/无声音"),
        ("时延/丢包/码率", "42 ms / 2.3% / 1503 kbps"),
        ("业务应答", "4/5"),
        ("问题分类", "声音、带班领导与值班表不符"),
        ("责任归因", "县端终端"),
        ("补点(时间/结果)", "2026-03-01 09:10:00 补点到"),
        ("得分", "81.5"),
        ("截图编号", "a" * 12),
        ("申诉/修订", "当时有声音（待裁定）；李雷：复看录像"),
        ("签收时间", "2026-03-01 09:10:00 王五"),
    ],
)
def test_what_the_columns_say(column, text):
    assert told(FULL)[column] == text


def test_what_nobody_knows_is_left_empty():
    line = told(Line(number=2, centre="320612", name="通州区", state=PointState.ABSENT, reason=AbsenceReason.NO_LINK))
    assert line["结果"] == "未到（链路故障）"
    for column in ("时延/丢包/码率", "带班领导(应/实)", "到岗人数(应/实)", "得分", "签收时间", "图像(结果/缺陷)"):
        assert line[column] == "", column


def test_half_of_a_pair_is_shown_with_a_dash():
    line = told(Line(number=1, centre="320612", name="通州区", leader_due=("李四",), rtt_ms=5.0))
    assert line["带班领导(应/实)"] == "李四/–"
    assert line["时延/丢包/码率"] == "5 ms / – / –"


def test_every_name_has_its_word():
    assert set(phrases.STATES) == set(PointState)
    assert set(phrases.REASONS) == set(AbsenceReason)
    assert set(phrases.CAUSES) == set(Cause)
    assert set(phrases.DEFECTS) == {defect.value for defect in Defect}
    assert {result.value for result in CheckResult} < set(phrases.LOOKED)


def test_excused_points_do_not_count():
    assert not Line(number=1, centre="1", name="x", state=PointState.EXCUSED).due
    assert Line(number=1, centre="1", name="x", state=PointState.PASSED_LATE).present
    assert not Line(number=1, centre="1", name="x", state=PointState.UNREACHABLE).present
    assert clock(None) == ""
