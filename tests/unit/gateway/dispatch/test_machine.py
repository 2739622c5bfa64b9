"""A call rings, connects and ends, each ending with its name."""

import pytest

from gateway.dispatch.machine import (
    DARK_S,
    RING_S,
    Call,
    CallState,
    Close,
    Connect,
    Direction,
    EndReason,
    TellPeer,
    reason_of,
)
from protocols.errors import WrongMomentError


def out() -> Call:
    return Call(Direction.OUT, now=0.0)


def connected(direction: Direction = Direction.OUT) -> Call:
    call = Call(direction, now=0.0)
    assert call.connected(1.0) == [Connect()]
    return call


def test_nobody_takes_the_call():
    call = out()
    assert call.tick(RING_S - 0.1) == []
    assert call.tick(RING_S) == [Close(), TellPeer(EndReason.NO_ANSWER)]
    assert call.reason is EndReason.NO_ANSWER
    assert call.deadline is None


@pytest.mark.parametrize("reason", [EndReason.BUSY, EndReason.DECLINED, EndReason.LINK])
def test_a_refusal_ends_the_call_with_its_reason(reason):
    call = out()
    assert call.refused(reason) == [Close()]
    assert call.reason is reason


def test_the_caller_gives_up_while_it_rings():
    call = out()
    assert call.hang_up() == [Close(), TellPeer(EndReason.HANGUP)]
    with pytest.raises(WrongMomentError):
        call.connected(2.0)


def test_the_called_centre_declines():
    call = Call(Direction.IN, now=0.0)
    assert call.hang_up() == [Close()]
    assert call.reason is EndReason.DECLINED


@pytest.mark.parametrize("direction", list(Direction))
def test_either_side_hangs_up(direction):
    assert connected(direction).hang_up() == [Close(), TellPeer(EndReason.HANGUP)]
    call = connected(direction)
    assert call.peer_ended(EndReason.HANGUP) == [Close()]
    assert call.peer_ended(EndReason.HANGUP) == []
    with pytest.raises(WrongMomentError):
        call.hang_up()


def test_a_side_that_never_comes_is_a_timeout():
    call = connected()
    call.sides(far=False, own=True, now=20.0)
    assert call.sides(far=False, own=True, now=1.0 + DARK_S) == [Close(), TellPeer(EndReason.TIMEOUT)]


def test_a_far_side_that_goes_dark_is_the_link():
    call = connected()
    call.sides(far=True, own=True, now=10.0)
    assert call.sides(far=False, own=True, now=10.0 + DARK_S - 1) == []
    assert call.sides(far=False, own=True, now=10.0 + DARK_S) == [Close(), TellPeer(EndReason.LINK)]


def test_an_own_side_that_goes_dark_is_a_timeout():
    call = connected()
    call.sides(far=True, own=True, now=10.0)
    for now in range(11, 40):
        assert call.sides(far=True, own=False, now=float(now)) == []
    assert call.sides(far=True, own=False, now=40.0) == [Close(), TellPeer(EndReason.TIMEOUT)]


def test_a_call_with_both_sides_goes_on_for_hours():
    call = connected()
    for now in range(2, 20_000, 7):
        assert call.sides(far=True, own=True, now=float(now)) == []
    assert call.state is CallState.CONNECTED


def test_words_of_other_nodes_are_read_with_care():
    assert reason_of("busy", EndReason.LINK) is EndReason.BUSY
    assert reason_of("on the toilet", EndReason.DECLINED) is EndReason.DECLINED
    assert reason_of(None, EndReason.LINK) is EndReason.LINK
