"""The set-checker sees what it is there for: planted losses, doubles, gaps, disorder, and timers that misfired."""

from typing import Any

from gateway.bench.chaos.verdict import Promise, Promised, View, judge
from protocols.alarm import CLEARED, RAISED

BOX = "320612-box"


def line(number: int, *, key: str = "k0", source: str = BOX, type_: str = RAISED, **more: Any) -> dict[str, Any]:
    condition = "active" if type_ == RAISED else "cleared"
    base = {"event_id": f"e{number}", "source": source, "type": type_, "alarm_key": key, "origincounter": number}
    return base | {"condition": condition, "applied": True, "count": int(type_ == RAISED)} | more


def view(*lines: dict[str, Any], code: str = "320600", **more: Any) -> View:
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for one in sorted(lines, key=lambda one: one["origincounter"]):
        newest[one["source"], one["alarm_key"]] = one
    return View(code, list(lines), {key: one["condition"] for key, one in newest.items()}, **more)


def promised(*numbers: int, raised: bool = True, **more: Any) -> Promised:
    return Promised(BOX, (), [Promise(f"e{n}", n, "k0", raised) for n in numbers], **more)


def course(*people: str, phase: str = "spent", ups: int = 1) -> dict[str, Any]:
    told = [{"person": person, "purpose": "step"} for person in people]
    return {"phase": phase, "notices": told, "lines": [{"what": "handed_up"}] * ups}


def test_what_is_there_once_and_in_order_is_good():
    assert judge(view(line(1), line(2, type_=CLEARED)), [promised(1)], None).sentences() == []


def test_a_line_of_memory_is_read_as_it_was_written():
    assert Promise.read("e1 7 once/39 1") == Promise("e1", 7, "once/39", raised=True)


def test_a_promise_that_is_not_there_is_lost():
    found = judge(view(line(1)), [promised(1, 2)], None)
    assert "320600 lacks e2 of 320612-box" in found.lost
    assert any("only 1 are accounted for" in one for one in found.lost)


def test_an_event_that_stands_twice_is_doubled():
    found = judge(view(line(1), line(1, applied=False)), [promised(1)], None)
    assert found.doubled[0] == "320600 holds e1 of 320612-box 2 times"


def test_folded_raises_are_accounted_for_by_their_count():
    folded = promised(1, 2, 3, folds=True)
    assert judge(view(line(3, count=3)), [folded], None).sentences() == []
    assert judge(view(line(3, count=2)), [folded], None).lost
    assert judge(view(line(3, count=9)), [folded], None).doubled


def test_what_was_put_just_before_a_kill_may_stand_there_too():
    assert judge(view(line(1), line(2)), [promised(1, spare=4)], None).sentences() == []
    assert judge(view(line(1), line(2)), [promised(1)], None).doubled


def test_gaps_and_refusals_are_told():
    found = judge(view(line(1), gaps=[{"first": 3}], quarantine=[{"code": "x"}]), [promised(1)], None)
    assert len(found.gaps) == 1
    assert len(found.lost) == 1


def test_a_tier_must_hold_all_that_the_tier_below_has():
    below = view(line(1), line(5, source="320600", key="clock/step"), code="320600")
    found = judge(view(line(1), code="320000"), [promised(1)], below)
    assert found.lost == ["320000 lacks e5 of 320600, which 320600 has"]


def test_states_follow_the_order_of_their_source():
    late = judge(view(line(2), line(1)), [promised(1, 2)], None)
    assert late.out_of_order == ["320600: ('320612-box', 'k0') 1 applied=True"]
    skipped = judge(view(line(1), line(2, applied=False)), [promised(1, 2)], None)
    assert skipped.out_of_order
    wrong = view(line(1), line(2, type_=CLEARED))
    wrong.conditions[BOX, "k0"] = "active"
    assert "its newest event 2 says cleared" in judge(wrong, [promised(1)], None).out_of_order[0]


def test_each_step_of_a_chain_is_taken_once():
    key = (BOX, "once/39")

    def timers(found: dict[str, Any], code: str = "320600") -> list[str]:
        return judge(view(code=code, courses={key: found}), [], None).timers

    assert timers(course("duty_officer", "leader")) == []
    assert "told leader 0 times" in timers(course("duty_officer"))[0]
    assert "told leader 2 times" in timers(course("duty_officer", "leader", "leader"))[0]
    assert "handed up 2 times" in timers(course("duty_officer", "leader", ups=2))[0]
    assert "its chain is climbing" in timers(course("duty_officer", "leader", phase="climbing"))[0]
    assert timers(course("upper_officer"), "320000") == []
    assert timers(course("upper_officer", "upper_officer"), "320000")
    assert timers(course(phase="watching", ups=0), "000000") == []


def test_a_timer_that_nobody_acted_on_is_told():
    assert judge(view(overdue=2.0), [], None).timers == ["320600 has 2 timers overdue"]
