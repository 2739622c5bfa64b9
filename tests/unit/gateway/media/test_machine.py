"""A stream is asked for once, held while wanted, given back 15 s later, and relayed while leased."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.machine import (
    DARK_S,
    LEASE_S,
    LINGER_S,
    RENEW_S,
    SILENT,
    WARM_S,
    Ask,
    Carry,
    Connect,
    Demand,
    Disconnect,
    GiveBack,
    Kind,
    Phase,
    Relay,
    RelayPhase,
    Release,
    Trouble,
    Want,
)
from gateway.ports.media import Layer

MAIN_ONLY = frozenset({Layer.MAIN})
THUMB_ONLY = frozenset({Layer.THUMB})
BOTH = MAIN_ONLY | THUMB_ONLY


def held(now: float = 0.0) -> Demand:
    demand = Demand()
    assert demand.want("a", Kind.VIEWER, now) == [Ask()]
    assert demand.answered(None, now, 0.5) == []
    demand.source(live=True, now=now)
    return demand


def test_many_viewers_ask_once():
    demand = held()
    assert demand.want("b", Kind.VIEWER, 1.0) == []
    assert demand.want("c", Kind.ROLL_CALL, 2.0) == []


def test_the_lease_is_renewed_in_time_for_two_losses():
    demand = held()
    assert demand.deadline == RENEW_S
    assert demand.tick(RENEW_S - 0.1) == []
    assert demand.tick(RENEW_S) == [Ask(fresh=False)]
    assert 3 * RENEW_S <= LEASE_S


def test_given_back_fifteen_seconds_after_the_last_viewer():
    demand = held()
    demand.want("b", Kind.VIEWER, 1.0)
    assert demand.release("a", 2.0) == []
    assert demand.deadline == RENEW_S
    demand.release("b", 3.0)
    assert demand.deadline == 3.0 + LINGER_S
    assert demand.tick(3.0 + LINGER_S) == [GiveBack()]
    assert demand.phase is Phase.IDLE
    assert demand.deadline is None


def test_a_viewer_who_returns_in_time_costs_nothing():
    demand = held()
    demand.release("a", 1.0)
    assert demand.want("a", Kind.VIEWER, 10.0) == []
    assert demand.tick(17.0) == []


def test_a_viewer_who_returns_late_in_the_linger_renews_at_once():
    demand = held()
    demand.release("a", RENEW_S - 1)
    assert demand.want("a", Kind.VIEWER, RENEW_S + 5) == [Ask()]


def test_a_refusal_is_named_and_tried_again_for_ever_with_bounded_pauses():
    demand = Demand()
    demand.want("a", Kind.VIEWER, 0.0)
    now = 0.0
    for _ in range(50):
        demand.answered(Trouble.NO_LINK, now, 0.99)
        assert demand.trouble is Trouble.NO_LINK
        assert demand.deadline is not None
        assert demand.deadline - now <= 10.0
        now = demand.deadline
        assert demand.tick(now) == [Ask()]


def test_the_link_is_back_and_nobody_waits_for_the_pause():
    demand = Demand()
    demand.want("a", Kind.VIEWER, 0.0)
    demand.answered(Trouble.NO_LINK, 0.0, 0.9)
    assert demand.hurry(0.1, fresh=False) == [Ask()]


def test_what_lingered_while_its_link_came_back_is_asked_for_by_the_next_wish():
    """The agent began anew and knows nothing of it; its renewal is up to 20 s away."""
    demand = held()
    demand.release("a", 1.0)
    assert demand.hurry(2.0, fresh=False) == [], "nobody wants it now"
    assert demand.want("b", Kind.ROLL_CALL, 3.0) == [Ask()]
    demand.answered(None, 3.1, 0.5)
    assert demand.want("c", Kind.VIEWER, 3.2) == [], "once is enough"


def test_a_wish_that_comes_while_such_a_stream_is_asked_for_is_asked_again():
    demand = held()
    assert demand.tick(RENEW_S) == [Ask()]
    demand.release("a", RENEW_S)
    assert demand.hurry(RENEW_S + 0.1, fresh=False) == []
    assert demand.want("b", Kind.VIEWER, RENEW_S + 0.2) == []
    assert demand.answered(None, RENEW_S + 0.3, 0.5) == [Ask()], "what was under way met the agent before"


def test_what_lingered_out_is_forgotten_with_all_that_was_noted_of_it():
    demand = held()
    demand.release("a", 1.0)
    demand.hurry(2.0, fresh=False)
    assert demand.tick(1.0 + LINGER_S) == [GiveBack()]
    assert demand.want("b", Kind.VIEWER, 30.0) == [Ask()]
    demand.answered(None, 30.1, 0.5)
    assert demand.want("c", Kind.VIEWER, 30.2) == []


def test_a_lost_worker_asks_for_a_fresh_session_even_while_an_answer_is_awaited():
    demand = Demand()
    demand.want("a", Kind.VIEWER, 0.0)
    assert demand.hurry(0.1, fresh=True) == []
    assert demand.answered(None, 0.1, 0.5) == [Ask(fresh=True)]


def test_viewers_who_come_back_after_a_lost_worker_find_a_source_being_made():
    demand = held()
    assert demand.hurry(0.1, fresh=True) == [Ask(fresh=True)]
    demand.release("a", 1.0)
    assert demand.answered(None, 1.1, 0.5) == []
    assert demand.want("a2", Kind.VIEWER, 1.2) == []


def test_a_held_stream_that_stays_dark_is_asked_for_afresh():
    demand = Demand()
    demand.want("a", Kind.VIEWER, 0.0)
    demand.answered(None, 0.1, 0.5)
    assert RENEW_S > DARK_S
    assert demand.tick(RENEW_S + 0.1) == [Ask(fresh=True)]


def test_a_failed_wish_is_forgotten_with_its_last_holder():
    demand = Demand()
    demand.want("a", Kind.VIEWER, 0.0)
    demand.answered(Trouble.REFUSED, 0.0, 0.5)
    demand.release("a", 0.1)
    assert demand.phase is Phase.IDLE
    assert demand.trouble is None


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["want", "release", "good", "bad", "hurry", "fresh", "tick"]),
        st.sampled_from("ab"),
        st.floats(0, 30),
    ),
    max_size=60,
)


@given(_EVENTS)
def test_never_two_questions_at_once_and_never_a_wish_without_a_way_on(events):
    demand, now, open_asks = Demand(), 0.0, 0
    for name, who, step in events:
        now += step
        match name:
            case "want":
                effects = demand.want(who, Kind.VIEWER, now)
            case "release":
                effects = demand.release(who, now)
            case "good" | "bad":
                open_asks = 0 if demand.phase is Phase.ASKING else open_asks
                effects = demand.answered(None if name == "good" else Trouble.FAILED, now, 0.5)
            case "hurry" | "fresh":
                effects = demand.hurry(now, fresh=name == "fresh")
            case _:
                effects = demand.tick(now)
        open_asks += sum(isinstance(effect, Ask) for effect in effects)
        assert open_asks <= 1
        if demand.wanted:
            assert demand.phase is Phase.ASKING or demand.deadline is not None


def leased(now: float = 0.0) -> Relay:
    relay = Relay()
    assert relay.lease("http://up/whip/x", "t", until=now + 60, fresh=False, now=now) == [
        Want(),
        Connect("http://up/whip/x", "t"),
    ]
    assert relay.connected("s1", now) == [Carry("s1", MAIN_ONLY)]
    return relay


def test_a_renewed_lease_moves_the_end_and_keeps_the_session():
    relay = leased()
    assert relay.lease("u", "t2", until=80, fresh=False, now=20) == []
    assert relay.deadline == 80
    assert relay.tick(79) == []
    assert relay.tick(80) == [Disconnect("s1"), Release()]


def test_fresh_makes_the_session_anew_with_the_new_token():
    relay = leased()
    assert relay.lease("u", "t2", until=80, fresh=True, now=20) == [Disconnect("s1"), Connect("u", "t2")]


def test_a_dead_relay_is_made_again_while_the_lease_lasts():
    relay = leased()
    assert relay.ended("other", 1) == []
    assert relay.ended("s1", 1) == [Connect("http://up/whip/x", "t")]
    assert relay.failed(2, 0.5) == []
    assert relay.deadline is not None
    assert relay.tick(relay.deadline) == [Connect("http://up/whip/x", "t")]


def test_a_lease_given_back_while_connecting_ends_the_session_as_soon_as_it_stands():
    relay = Relay()
    relay.lease("u", "t", until=60, fresh=False, now=0)
    assert relay.give_back() == []
    assert relay.deadline is None
    assert relay.connected("s1", 1) == [Disconnect("s1"), Release()]
    assert relay.over


def test_a_lease_that_runs_out_lets_the_source_go():
    relay = Relay()
    relay.lease("u", "t", until=60, fresh=False, now=0)
    relay.failed(59, 0.99)
    assert relay.tick(60) == [Release()]
    assert relay.over


def test_other_layers_are_asked_for_at_once_and_fewer_after_a_while():
    demand = held()
    assert demand.want("wall", Kind.WALL, 1.0, THUMB_ONLY) == [Ask(layers=BOTH)]
    assert demand.answered(None, 1.1, 0.5) == []
    demand.release("a", 2.0)
    assert demand.deadline == 5.0
    assert demand.tick(5.0) == [Ask(layers=THUMB_ONLY)]


def test_the_engine_says_what_a_thin_line_follows():
    demand = held()
    assert demand.told(BOTH, 1.0) == [Ask(layers=BOTH)]
    demand.answered(None, 1.1, 0.5)
    assert demand.told(THUMB_ONLY, 2.0) == []
    assert demand.tick(5.0) == [Ask(layers=THUMB_ONLY)]


def rested(now: float = 20.0) -> Demand:
    demand = Demand()
    demand.want("a", Kind.VIEWER, 0.0)
    demand.answered(None, 0.1, 0.5, can_rest=True)
    demand.release("a", now - LINGER_S)
    assert demand.tick(now) == [Ask(layers=SILENT)]
    return demand


def test_a_gateway_below_keeps_its_session_without_media_for_a_while():
    demand, now = rested(), 20.0
    while demand.phase is Phase.WARM and now < 20.0 + 2 * WARM_S:
        now = demand.deadline
        effects = demand.tick(now)
        assert effects in ([Ask(layers=SILENT)], [GiveBack()])
    assert (demand.phase, now) == (Phase.IDLE, 20.0 + WARM_S)


def test_a_click_on_a_warm_stream_asks_for_its_layers():
    demand = rested()
    assert demand.want("b", Kind.VIEWER, 30.0) == [Ask(layers=MAIN_ONLY)]
    assert demand.phase is Phase.ASKING


def test_a_warm_stream_whose_way_breaks_is_let_go():
    demand = rested()
    assert demand.answered(Trouble.NO_LINK, 21.0, 0.5) == []
    assert demand.phase is Phase.IDLE
    demand = rested()
    assert demand.hurry(21.0, fresh=True) == [GiveBack()]


def test_the_wish_of_the_tier_above_has_lingered_there():
    demand = Demand()
    demand.want("upper", Kind.RELAY, 0.0)
    demand.answered(None, 0.1, 0.5)
    demand.release("upper", 5.0)
    assert demand.tick(5.0) == [GiveBack()]


def test_a_lease_names_the_layers_and_none_of_them_rests():
    relay = leased()
    again = {"until": 120.0, "fresh": False}
    assert relay.lease("u", "t", now=1.0, layers=BOTH, **again) == [Want(BOTH), Carry("s1", BOTH)]
    assert relay.lease("u", "t", now=2.0, layers=BOTH, **again) == []
    assert relay.lease("u", "t", now=3.0, layers=SILENT, **again) == [Release(), Carry("s1", SILENT)]
    assert relay.lease("u", "t", now=4.0, layers=MAIN_ONLY, **again) == [Want(MAIN_ONLY), Carry("s1", MAIN_ONLY)]
    assert relay.phase is RelayPhase.UP
