from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.groups import LIMIT, Member, grouped
from protocols.alarm import Severity

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def member(number, *, centre="320623", event_type="dev.alarm", severity=3, acknowledged=False):
    at = NOW + timedelta(seconds=number)
    return Member(f"{number:026}", centre, event_type, severity, f"告警 {number}", acknowledged, at, at)


def above(centre):
    return None if centre.endswith("0000") else centre[:2] + "0000" if centre.endswith("00") else centre[:4] + "00"


def test_the_same_kind_at_the_same_centre_is_one_line_with_its_newest():
    (line,) = grouped([member(1), member(2, acknowledged=True), member(0)], above)
    assert (line.count, line.unacknowledged, line.headline) == (3, 2, "告警 2")
    assert (line.first_raised_at, line.last_observed_at) == (NOW, NOW + timedelta(seconds=2))


def test_lines_stand_by_gravity_then_by_who_is_unattended_then_by_newness():
    lines = grouped(
        [
            member(1, severity=4), member(2, severity=1), member(3, event_type="a", acknowledged=True),
            member(4, event_type="b"), member(5, event_type="c"),
        ],
        above,
    )  # fmt: skip
    assert [line.headline for line in lines] == ["告警 2", "告警 5", "告警 4", "告警 3", "告警 1"]


def test_a_storm_folds_the_mild_ones_first():
    mild = [member(n, centre=f"3206{1 + n % 80:02}", event_type=f"t{n % 7}", severity=4) for n in range(600)]
    grave = [member(1000 + n, centre=f"3206{n:02}", severity=2) for n in range(30)]
    lines = grouped(mild + grave, above)
    assert len(lines) <= LIMIT
    assert sum(line.severity == 2 for line in lines) == 30
    assert sum(line.count for line in lines) == 630
    (folded,) = [line for line in lines if line.severity == 4]
    assert (folded.centre, folded.within, folded.event_type) == ("320600", True, None)


def test_red_ones_are_never_folded_together_even_over_the_limit():
    red = [member(n, centre=f"3206{n:02}", severity=1) for n in range(90)]
    assert len(grouped(red, above)) == 90


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.integers(0, 30), st.sampled_from(list(Severity)), st.booleans()), max_size=300
    )
)
def test_nothing_is_lost_and_the_list_stays_short(found):
    members = [
        member(n, centre=f"32{c:02}23", event_type=f"t{t}", severity=int(s), acknowledged=a)
        for n, (c, t, s, a) in enumerate(found)
    ]
    lines = grouped(members, above)
    assert sum(line.count for line in lines) == len(members)
    assert sum(line.unacknowledged for line in lines) == sum(not m.acknowledged for m in members)
    assert len([line for line in lines if line.severity != 1]) <= LIMIT
    for severity in Severity:
        assert sum(g.count for g in lines if g.severity == severity) == sum(m.severity == severity for m in members)
