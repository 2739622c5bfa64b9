"""One trace per click: each hop's times, and those of the hops below it."""

from datetime import UTC, datetime

import pytest

from gateway.media.chains import HOPS, KEPT, Chains, Stage, traceparent
from protocols.command import HopTiming

AT = datetime(2026, 11, 24, tzinfo=UTC)
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STREAM = "320612/room"


@pytest.mark.parametrize(
    "bad", [None, "", "00-0-0-01", GIVEN.upper(), GIVEN + "-x", "00-" + "0" * 32 + GIVEN[35:], "01" + GIVEN[2:]]
)
def test_a_trace_is_taken_over_or_made(bad: str | None) -> None:
    assert traceparent(GIVEN, b"") == GIVEN
    made = traceparent(bad, bytes(range(1, 25)))
    assert made == "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01"
    assert traceparent(made, b"") == made


def test_each_stage_counts_once_from_the_question() -> None:
    chains = Chains("320600")
    assert chains.mark(STREAM, Stage.PACKET, 1.0) is None
    chains.begin(STREAM, GIVEN, AT, 10.0)
    assert chains.mark(STREAM, Stage.ANSWERED, 10.02) == pytest.approx(0.02)
    assert chains.mark(STREAM, Stage.ANSWERED, 30.0) is None
    chains.mark(STREAM, Stage.PICTURE, 10.3)
    chains.tell(STREAM, (HopTiming(node="320612-box", answered_ms=4),))
    chains.tell(STREAM, ())
    here, below = chains.path(STREAM)
    assert (here.node, here.asked_at, here.answered_ms, here.picture_ms) == ("320600", AT, 20, 300)
    assert (here.connected_ms, below.node) == (None, "320612-box")
    assert chains.trace(STREAM) == GIVEN


def test_a_new_question_begins_anew_and_the_table_is_bounded() -> None:
    chains = Chains("320600")
    for number in range(KEPT + 5):
        chains.begin(f"320612/c{number}", GIVEN, AT, 0.0)
    assert chains.path("320612/c0") == ()
    assert chains.trace("320612/c4") is None
    chains.begin(STREAM, GIVEN, AT, 0.0)
    chains.tell(STREAM, tuple(HopTiming(node="320612") for _ in range(100)))
    assert len(chains.path(STREAM)) == HOPS + 1
    chains.begin(STREAM, GIVEN, AT, 5.0)
    assert len(chains.path(STREAM)) == 1
