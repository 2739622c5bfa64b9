"""Whether a link is up: heartbeats prove it, silence and the last will end it, and a trembling line stays down."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.links.machine import Changed, LinkMachine
from protocols.health import SILENCE_S, LinkReason, LinkStatus

UP = Changed(LinkStatus.UP, None)


def down(reason: LinkReason) -> Changed:
    return Changed(LinkStatus.DOWN, reason)


def test_the_first_heartbeat_brings_a_new_link_up() -> None:
    machine = LinkMachine()
    assert machine.deadline is None
    assert machine.heartbeat(100) == UP
    assert machine.heartbeat(105) is None
    assert machine.deadline == 105 + SILENCE_S


def test_silence_is_no_heartbeat_and_with_our_own_broker_away_a_timeout() -> None:
    for broker_up, reason in ((True, LinkReason.NO_HEARTBEAT), (False, LinkReason.TIMEOUT)):
        machine = LinkMachine()
        machine.heartbeat(100)
        assert machine.tick(114.9, broker_up=broker_up) is None
        assert machine.tick(115, broker_up=broker_up) == down(reason)
        assert machine.deadline is None


def test_a_broken_link_needs_two_heartbeats_in_time() -> None:
    machine = LinkMachine()
    machine.heartbeat(0)
    machine.tick(15, broker_up=True)
    assert machine.heartbeat(20) is None
    assert machine.heartbeat(40) is None  # too late to count with the one before
    assert machine.heartbeat(45) == UP


def test_a_stopped_agent_is_up_again_with_its_first_heartbeat() -> None:
    machine = LinkMachine()
    machine.heartbeat(0)
    machine.online("A")
    assert machine.offline("A", LinkReason.AGENT_STOPPED) == down(LinkReason.AGENT_STOPPED)
    assert machine.heartbeat(30) == UP


def test_the_last_will_of_an_earlier_session_is_late_news() -> None:
    machine = LinkMachine()
    machine.online("A")
    machine.heartbeat(0)
    machine.online("B")
    assert machine.offline("A", LinkReason.PEER_CLOSED) is None
    assert machine.offline("B", None) == down(LinkReason.PEER_CLOSED)


def test_a_retained_offline_says_nothing_of_a_node_never_heard() -> None:
    assert LinkMachine().offline("A", LinkReason.PEER_CLOSED) is None


def test_two_sessions_of_one_identity_are_named() -> None:
    machine = LinkMachine()
    machine.heartbeat(0)
    assert machine.taken_over() == down(LinkReason.TAKEOVER)
    assert machine.heartbeat(1) is None
    assert machine.heartbeat(2) == UP


def test_after_a_restart_an_up_link_has_the_usual_time_to_be_heard() -> None:
    machine = LinkMachine.restored(LinkStatus.UP, None, 100)
    assert machine.deadline == 100 + SILENCE_S
    assert LinkMachine.restored(LinkStatus.DOWN, LinkReason.TIMEOUT, 100).deadline is None


steps = st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["beat", "tick", "will", "stop", "online", "twin"])))


@given(steps)
def test_a_reason_is_given_exactly_while_the_link_is_down(script) -> None:
    machine, now = LinkMachine(), 0.0
    for pause, what in script:
        now += pause
        match what:
            case "beat":
                changed = machine.heartbeat(now)
            case "tick":
                changed = machine.tick(now, broker_up=True)
            case "will":
                changed = machine.offline("A", None)
            case "stop":
                changed = machine.offline("A", LinkReason.AGENT_STOPPED)
            case "twin":
                changed = machine.taken_over()
            case _:
                changed = machine.online("A")
        assert (machine.reason is not None) == (machine.status is LinkStatus.DOWN)
        assert changed is None or (changed.status, changed.reason) == (machine.status, machine.reason)
        assert machine.deadline is None or machine.status is LinkStatus.UP
