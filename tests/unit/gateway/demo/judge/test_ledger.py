"""The judge's list: each planted fault is named, and a true log is left in peace."""

from dataclasses import replace

import pytest

from gateway.demo.judge.ledger import Fate, Ledger, Seen, same_events
from protocols.alarm import CLEARED, RAISED

SOURCE = "320681-box"


def seen(number: int, key: str = "gas/1", type_: str = RAISED, **more: object) -> Seen:
    event = Seen(f"event-{number}", SOURCE, key, type_, number, applied=True, count=1)
    return replace(event, **more)


@pytest.fixture
def ledger() -> Ledger:
    book = Ledger()
    for type_ in (RAISED, CLEARED, RAISED):
        book.note(SOURCE, "gas/1", type_, Fate.ACKNOWLEDGED)
    return book


@pytest.fixture
def log() -> list[Seen]:
    return [seen(1), seen(2, type_=CLEARED), seen(3)]


def test_a_true_log_is_clean(ledger, log):
    assert ledger.compare(log).clean


def test_a_missing_event_is_lost(ledger, log):
    assert len(ledger.compare(log[:2]).lost) == 1


def test_the_same_event_twice_is_doubled(ledger, log):
    assert len(ledger.compare([*log, log[0]]).doubled) == 1


def test_the_same_report_as_two_events_is_doubled(ledger, log):
    assert len(ledger.compare([*log, seen(4)]).doubled) == 1


def test_a_loss_is_not_made_up_for_by_a_double(ledger, log):
    found = ledger.compare([log[0], log[1], log[1]])
    assert found.lost
    assert found.doubled


def test_coalesced_raises_count_for_what_they_stand_for(ledger, log):
    assert ledger.compare([seen(1, count=2), log[1]]).clean


def test_an_uncertain_post_may_or_may_not_be_there(ledger, log):
    ledger.note(SOURCE, "gas/1", CLEARED, Fate.UNCERTAIN)
    assert ledger.compare(log).clean
    assert ledger.compare([*log, seen(4, type_=CLEARED)]).clean
    assert not ledger.compare([*log, seen(4, type_=CLEARED), seen(5, type_=CLEARED)]).clean
    assert ledger.last_conditions() == {}


def test_a_refused_post_that_shows_up_is_untrue(ledger, log):
    ledger.note(SOURCE, "gas/2", RAISED, Fate.REFUSED)
    assert ledger.compare([*log, seen(4, key="gas/2")]).untrue


def test_an_older_event_applied_late_is_out_of_order(ledger, log):
    assert ledger.compare([log[0], log[2], log[1]]).out_of_order


def test_an_older_event_kept_without_effect_is_in_order(ledger, log):
    assert ledger.compare([log[0], log[2], replace(log[1], applied=False)]).clean


def test_a_newer_event_without_effect_is_out_of_order(ledger, log):
    assert ledger.compare([log[0], log[1], replace(log[2], applied=False)]).out_of_order


def test_the_state_to_show_is_that_of_the_last_report(ledger):
    assert ledger.last_conditions() == {(SOURCE, "gas/1"): RAISED}


def test_tiers_are_compared_by_event(log):
    assert same_events(log, log).clean
    assert len(same_events(log, log[1:]).lost) == 1
    assert len(same_events(log, [*log, log[0]]).doubled) == 1


def test_an_item_of_the_api_is_read():
    item = {
        "event_id": "E",
        "source": SOURCE,
        "alarm_key": "gas/1",
        "type": RAISED,
        "origincounter": 7,
        "applied": True,
        "count": 2,
        "hops": [],
        "time": "2026-11-20T08:00:00Z",
        "received_at": "2026-11-20T08:00:00.250Z",
    }
    seen = Seen.read(item)
    assert seen.origin_counter == 7
    assert seen.climbed_s == 0.25
