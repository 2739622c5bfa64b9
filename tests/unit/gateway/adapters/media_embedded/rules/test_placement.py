"""Streams keep their homes, move as little as can be, and spread as the weights say."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.placement import Placement, ranking

names = st.text("abcdefgh0123", min_size=1, max_size=6)
crews = st.dictionaries(names, st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=6)
streams = st.lists(st.from_regex(r"3206[0-9]{2}/room", fullmatch=True), min_size=1, max_size=40, unique=True)


def homes(crew: dict[str, float], keys: list[str]) -> dict[str, str]:
    return {key: ranking(key, crew)[0] for key in keys}


@given(crews, streams, names)
def test_a_new_member_takes_streams_and_moves_no_other(crew: dict[str, float], keys: list[str], added: str) -> None:
    before, after = homes(crew, keys), homes({**crew, added: crew.get(added, 1.0)}, keys)
    assert all(after[key] in {before[key], added} for key in keys)


@given(crews, streams, st.data())
def test_a_lost_member_moves_its_own_streams_alone(
    crew: dict[str, float], keys: list[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(crew)))
    left = {name: weight for name, weight in crew.items() if name != gone}
    before = homes(crew, keys)
    if left:
        after = homes(left, keys)
        assert all(after[key] == before[key] for key in keys if before[key] != gone)


@given(crews, streams)
def test_the_order_of_members_decides_nothing(crew: dict[str, float], keys: list[str]) -> None:
    assert homes(crew, keys) == homes(dict(reversed(crew.items())), keys)


def test_shares_are_as_the_weights_are() -> None:
    shares = Counter(ranking(f"{number:06}/room", {"one": 1.0, "two": 2.0, "none": 0.0})[0] for number in range(3000))
    assert shares["none"] == 0
    assert 1.7 < shares["two"] / shares["one"] < 2.3


def placed(*members: str, limit: int = 3) -> Placement:
    placement = Placement(limit)
    for member in members:
        placement.joined(member)
    return placement


def test_a_stream_stays_where_it_is_used() -> None:
    placement = placed("a")
    placement.sit("publisher", "a", ["320623/room"], 0)
    for member in "bcdefgh":
        placement.joined(member)
    assert placement.home("320623/room") == "a"
    assert placement.rise("publisher") == {"320623/room"}
    assert placement.home("320623/room") == ranking("320623/room", dict.fromkeys("abcdefgh", 1.0))[0]


def test_viewers_beyond_the_limit_sit_beside_the_home() -> None:
    placement = placed("a", "b", "c")
    home, second, _ = ranking("320623/room", dict.fromkeys("abc", 1.0))
    seats = []
    for number in range(6):
        seats.append(placement.viewer("320623/room"))
        placement.sit(f"viewer {number}", seats[-1], ["320623/room"], 1)
    assert seats == [home] * 3 + [second] * 3
    assert placement.away("320623/room") == {second}
    placement.rise("viewer 0")
    assert placement.viewer("320623/room") == home, "there is room again"


def test_where_all_are_full_the_emptiest_takes_one_more() -> None:
    placement = placed("a", "b", limit=1)
    placement.sit("many", "a", ["320623/room"], 5)
    placement.sit("some", "b", ["320623/room"], 2)
    assert placement.viewer("320623/room") == placement.least() == "b"
    placement.joined("a", 4.0)
    assert placement.least() == "a", "a heavier member bears more"


def test_a_lost_home_is_replaced_for_those_who_still_watch() -> None:
    placement = placed("a", "b")
    placement.sit("publisher", "a", ["320623/room", "320612/room"], 0)
    placement.sit("wall", "b", ["320623/room"], 1)
    assert placement.left("a") == {"320623/room", "320612/room"}
    assert placement.home("320623/room") == "b"
    assert placement.away("320623/room") == frozenset()
    assert (placement.member("publisher"), placement.member("wall")) == (None, "b")
    placement.joined("a")
    assert placement.home("320623/room") == "b", "it does not go back while it is watched"


def test_nobody_is_placed_where_nobody_is() -> None:
    placement = placed("a")
    placement.sit("publisher", "a", ["320623/room"], 0)
    assert placement.left("a") == {"320623/room"}
    for ask in (lambda: placement.home("320623/room"), lambda: placement.viewer("320623/room"), placement.least):
        with pytest.raises(LookupError):
            ask()
    assert placement.members == ()


Steps = st.lists(
    st.tuples(
        st.sampled_from(["joined", "left", "sit", "rise"]),
        st.sampled_from("abc"),
        st.sampled_from("xyz"),
        st.sets(st.sampled_from(["1/room", "2/room", "3/room"])),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(Steps)
def test_books_always_balance(steps: list[tuple[str, str, str, set[str]]]) -> None:
    placement = placed("a")
    seats: dict[str, tuple[str, set[str]]] = {}
    for step, member, session, watched in steps:
        match step:
            case "joined":
                placement.joined(member)
            case "left":
                placement.left(member)
                seats = {name: seat for name, seat in seats.items() if seat[0] != member}
            case "sit" if member in placement.members:
                placement.sit(session, member, watched, len(watched))
                seats[session] = member, watched
            case "rise":
                placement.rise(session)
                seats.pop(session, None)
        for name in "abc":
            assert placement.legs(name) == sum(len(seen) for at, seen in seats.values() if at == name)
        for stream in ("1/room", "2/room", "3/room"):
            users = {at for at, seen in seats.values() if stream in seen}
            if placement.members:
                assert placement.home(stream) in placement.members
                assert placement.away(stream) == users - {placement.home(stream)}
