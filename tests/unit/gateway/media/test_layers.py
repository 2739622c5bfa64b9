"""More is asked for at once, less after a while, and the engine knows better than a wish."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.layers import LESS_S, MAIN_ONLY, MORE_S, LayerWish
from gateway.ports.media import Layer

MAIN, THUMB = Layer.MAIN, Layer.THUMB
BOTH = frozenset({MAIN, THUMB})
THUMB_ONLY = frozenset({THUMB})


def asked(layers: frozenset[Layer], *, leg: bool = True) -> LayerWish:
    wish = LayerWish()
    wish.hold("a", layers, leg=leg, now=0.0)
    assert wish.ask(0.0) == layers
    return wish


def test_the_union_of_all_holders_is_wanted():
    wish = asked(THUMB_ONLY)
    wish.hold("b", MAIN_ONLY, leg=False, now=5.0)
    assert (wish.wanted, wish.due) == (BOTH, 5.0)


def test_more_follows_the_last_request_after_a_breath():
    wish = asked(THUMB_ONLY)
    wish.hold("b", MAIN_ONLY, leg=True, now=0.05)
    assert wish.due == MORE_S


def test_less_is_asked_for_later_and_not_at_all_where_it_is_wanted_again():
    wish = asked(BOTH)
    wish.hold("a", THUMB_ONLY, leg=True, now=10.0)
    assert wish.due == 10.0 + LESS_S
    wish.hold("b", MAIN_ONLY, leg=True, now=11.0)
    assert wish.due is None


def test_the_engine_knows_what_its_legs_follow():
    wish = asked(MAIN_ONLY)
    wish.tell(THUMB_ONLY, 1.0)
    assert wish.wanted == THUMB_ONLY
    wish.hold("roll call", MAIN_ONLY, leg=False, now=2.0)
    assert wish.wanted == BOTH


def test_a_new_leg_counts_with_its_wish_until_the_engine_speaks():
    wish = asked(THUMB_ONLY)
    wish.tell(THUMB_ONLY, 1.0)
    wish.hold("b", MAIN_ONLY, leg=True, now=2.0)
    assert wish.wanted == BOTH
    wish.tell(THUMB_ONLY, 3.0)
    assert wish.wanted == THUMB_ONLY


def test_without_a_word_of_the_engine_wishes_count():
    wish = asked(MAIN_ONLY)
    wish.tell(frozenset(), 1.0)
    assert (wish.wanted, wish.due) == (MAIN_ONLY, None)


def test_the_last_holder_changes_nothing_by_going():
    wish = asked(THUMB_ONLY)
    wish.drop("a", 1.0)
    assert (wish.wanted, wish.due) == (THUMB_ONLY, None)


LAYERS = st.sampled_from([MAIN_ONLY, THUMB_ONLY, BOTH])
DEEDS = st.lists(
    st.tuples(st.sampled_from(["hold", "drop", "tell", "ask"]), st.sampled_from("abc"), LAYERS, st.floats(0, 2)),
    max_size=40,
)


@given(DEEDS)
def test_what_is_wanted_is_never_forgotten(deeds):
    wish, now = LayerWish(), 0.0
    wish.hold("z", THUMB_ONLY, leg=False, now=now)
    wish.ask(now)
    for deed, holder, layers, passes in deeds:
        now += passes
        match deed:
            case "hold":
                wish.hold(holder, layers, leg=True, now=now)
            case "drop":
                wish.drop(holder, now)
            case "tell":
                wish.tell(layers, now)
            case "ask":
                wish.ask(now)
        assert wish.wanted
        assert (wish.due is None) == (wish.wanted == wish.asked)
        assert wish.due is None or wish.due <= now + LESS_S
