"""The judge of the bench is judged: it finds what is planted."""

import pytest

from gateway.bench.rollcall.plan import STORIES, County
from gateway.bench.rollcall.verdict import judge

BY_NAME = {story.name: story for story in STORIES}


def county(story, code="329000"):
    return County(code, "县", BY_NAME[story], "film")


def point(code="329000", state="passed", reason=None, cause=None, settled="2026-03-01T00:00:12+00:00"):
    told = {"centre": code, "state": state, "reason": reason, "cause": cause, "settled_at": settled}
    return told | {"note": "", "checks": []}


def call(*points):
    return {"started_at": "2026-03-01T00:00:00+00:00", "points": list(points)}


def test_what_is_right_is_right_and_the_slowest_reachable_one_counts():
    judged = judge(
        call(
            point(),
            point("329001", "absent", "no_answer", "county_staff", "2026-03-01T00:01:10+00:00"),
            point("329002", "failed", "frozen", "county_terminal", "2026-03-01T00:00:50+00:00"),
        ),
        {"329001": 12.5, "329002": 20.0},
        [county("night"), county("nobody", "329001"), county("frozen", "329002")],
    )
    assert judged.wrong == ()
    assert (judged.reachable_s, judged.unasked_s, judged.all_s) == (20.0, 20.0, 70.0)
    assert judged.states == {"passed/-": 1, "absent/no_answer": 1, "failed/frozen": 1}


@pytest.mark.parametrize(
    ("story", "found", "kind"),
    [
        ("black", point(), "false_present"),
        ("replayed", point(state="passed_late"), "false_present"),
        ("nobody", point(state="passed_with_issues"), "false_present"),
        ("night", point(state="failed", reason="frozen"), "false_frozen"),
        ("night", point(state="failed", reason="no_picture", cause="platform"), "lost_for_platform"),
        ("night", point(state="passed_late"), "wrong_state"),
        ("day", point(state="unreachable", reason="no_link"), "wrong_state"),
        ("silent", point(), "wrong_state"),
        ("nobody", point(state="absent", reason="no_answer", cause="line"), "wrong_cause"),
        ("cut", point(state="unreachable", reason="no_link"), "wrong_cause"),
        ("power", point(state="unreachable", reason="no_link", cause="line"), "wrong_cause"),
    ],
)
def test_what_is_planted_is_found(story, found, kind):
    judged = judge(call(found), {}, [county(story)])
    assert getattr(judged, kind) == 1
    assert len(judged.wrong) == 1
    assert story in judged.wrong[0]


def test_who_waited_for_the_number_counts_in_one_figure_only():
    asked = point("329001", "failed", "unproven", "unknown", "2026-03-01T00:01:00+00:00")
    judged = judge(call(point(), asked), {"329000": 9.0, "329001": 33.0}, [county("night"), county("frozen", "329001")])
    assert (judged.reachable_s, judged.unasked_s) == (33.0, 9.0)


def test_a_county_that_is_not_in_the_call_is_missed():
    judged = judge(call(), {}, [county("day")])
    assert judged.wrong_state == 1
    assert judged.reachable_s is None
