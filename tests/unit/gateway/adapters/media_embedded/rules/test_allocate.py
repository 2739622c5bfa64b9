"""A thin line is shared by priority, and what is given does not flicker."""

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.allocate import ASSUMED, ROOM, STEADY_S, Allocator, Claim
from gateway.ports.media import Layer, Showing

BOTH = {Layer.MAIN: 1_000_000, Layer.THUMB: 100_000}


def picture(key: str, priority: int = 2, wish: Layer = Layer.MAIN, **more: object) -> Claim:
    return Claim(key, priority, wish, more.pop("rates", BOTH), **more)


def shown(budget: int | None, *claims: Claim) -> list[str]:
    return [showing.value for showing in Allocator().share(budget, claims, 0.0).values()]


def test_without_an_estimate_everybody_shows_what_it_wishes_for() -> None:
    assert shown(None, picture("a"), picture("b", 3)) == ["main", "main"]


def test_sound_first_then_the_stage_then_main_pictures_then_thumbs() -> None:
    sound = Claim("sound", 0, Layer.MAIN, {}, sound=40_000)
    stage, main, small = picture("stage", 1), picture("main"), picture("small", 3, Layer.THUMB)
    for budget, expected in [
        (2_140_000, ["main", "main", "thumb"]),
        (2_100_000, ["main", "main", "saved"]),
        (1_240_000, ["main", "thumb", "thumb"]),
        (1_150_000, ["main", "thumb", "saved"]),
        (1_040_000, ["main", "saved", "saved"]),
        (200_000, ["thumb", "saved", "saved"]),
        (100_000, ["saved", "saved", "saved"]),
    ]:
        assert shown(budget, small, sound, main, stage) == [expected[place] for place in (2, 1, 0)], budget


def test_equals_all_get_a_thumb_before_one_gets_more() -> None:
    assert shown(1_300_000, picture("a"), picture("b"), picture("c")) == ["main", "thumb", "thumb"]
    assert shown(300_000, picture("a"), picture("b"), picture("c")) == ["thumb"] * 3


def test_what_is_offered_decides() -> None:
    only = {Layer.MAIN: 500_000}
    assert shown(600_000, picture("a", wish=Layer.THUMB, rates=only)) == ["main"]
    assert shown(400_000, picture("a", rates=only)) == ["saved"]
    assert shown(400_000, picture("a", rates=only, vital=True)) == ["main"]
    assert shown(400_000, picture("a", exact=True)) == ["saved"], "a relay's main picture is no thumb"
    assert shown(sum(ASSUMED.values()), picture("a", rates={}), picture("b", rates={})) == ["main", "thumb"]
    assert shown(10**9, picture("a", wish=Layer.THUMB)) == ["thumb"]


def test_a_line_that_carries_nothing_else_always_carries_one_picture() -> None:
    """Without a packet on it nobody would ever learn that it carries more again."""
    allocator = Allocator()
    main, small = picture("main", 2, exact=True), picture("small", 1, Layer.THUMB, exact=True)

    def at(now: float, budget: int, *claims: Claim, speaking: bool = False) -> list[str]:
        return [showing.value for showing in allocator.share(budget, claims, now, speaking=speaking).values()]

    assert at(0.0, 50_000, main, small) == ["saved", "thumb"], "the smaller number first"
    assert at(0.1, 50_000, main) == ["main"], "at once: there is nothing that it could flicker with"
    assert at(0.2, 50_000, main, speaking=True) == ["saved"], "sound is not pressed aside"
    equals = [picture("a", rates={Layer.MAIN: 900_000}), picture("b", rates={Layer.MAIN: 800_000})]
    assert at(0.3, 50_000, *equals) == ["saved", "main"]
    equals[0] = picture("a", rates={Layer.MAIN: 700_000})
    assert at(0.4, 50_000, *equals) == ["saved", "main"], "whoever has it keeps it"
    assert at(0.5, 50_000) == []


def test_down_at_once_up_only_with_room_for_a_while() -> None:
    allocator = Allocator()

    def at(now: float, budget: int) -> Showing:
        return allocator.share(budget, [picture("a")], now)["a"]

    assert at(0.0, 1_000_000) is Showing.MAIN
    assert at(0.1, 999_999) is Showing.THUMB
    assert at(0.2, 1_000_000) is Showing.THUMB
    assert at(60.0, 1_000_000) is Showing.THUMB, "it fits, but barely"
    enough = int(1_000_000 * ROOM) + 2
    assert at(61.0, enough) is Showing.THUMB
    assert at(62.0, 1_000_000) is Showing.THUMB, "the wait begins anew"
    assert at(63.0, enough) is Showing.THUMB
    assert at(63.0 + STEADY_S, enough) is Showing.MAIN
    assert at(70.0, 1_000_000) is Showing.MAIN, "what one has one keeps while it fits"


RATES = st.fixed_dictionaries({}, optional={layer: st.integers(1, 3_000_000) for layer in Layer})
CLAIMS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(list(Layer)), RATES, st.booleans()), min_size=1, max_size=12
)


@given(CLAIMS, st.lists(st.tuples(st.integers(0, 8_000_000), st.floats(0.1, 3.0)), min_size=1, max_size=8))
def test_never_more_than_the_budget(
    wishes: list[tuple[int, Layer, dict[Layer, int], bool]], budgets: list[tuple[int, float]]
) -> None:
    for _, _, rates, _ in wishes:
        if len(rates) == 2:
            rates[Layer.THUMB] = min(rates.values())
    claims = [
        Claim(place, priority, wish, rates, exact=exact) for place, (priority, wish, rates, exact) in enumerate(wishes)
    ]
    allocator, now = Allocator(), 0.0
    for budget, passed in budgets:
        now += passed
        given_out: dict[Hashable, Showing] = allocator.share(budget, claims, now)
        taken = 0
        for claim in claims:
            taking = dict(claim.options())
            taken += {Showing.SAVED: 0, Showing.THUMB: taking.get(1, 0), Showing.MAIN: taking.get(2, 0)}[
                given_out[claim.key]
            ]
        assert taken <= budget
