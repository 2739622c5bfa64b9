"""A worker that falls behind gives up thumbs, then main pictures, and takes them back slowly."""

from gateway.adapters.media_embedded.rules.shed import Shedder, order
from gateway.ports.media import Layer


def run(shedder: Shedder, late_s: float, begin: float, seconds: float) -> float:
    part = 0.0
    for step in range(int(seconds * 10) + 1):
        part = shedder.share(late_s, begin + step / 10)
    return part


def test_a_short_stall_sheds_nothing() -> None:
    shedder = Shedder()
    assert run(shedder, 0.2, 0.0, 0.3) == 0.0
    assert run(shedder, 0.0, 0.4, 1.0) == 0.0
    assert run(shedder, 0.2, 1.5, 0.3) == 0.0


def test_more_and_more_is_shed_while_it_lasts_and_comes_back_slowly() -> None:
    shedder = Shedder()
    assert run(shedder, 0.06, 0.0, 1.0) == 0.25
    assert run(shedder, 0.06, 1.1, 4.5) == 1.0
    assert run(shedder, 0.03, 6.0, 60.0) == 1.0, "neither late nor calm"
    assert run(shedder, 0.0, 70.0, 2.9) == 1.0
    assert run(shedder, 0.0, 73.0, 0.1) == 0.9
    assert run(shedder, 0.0, 74.0, 60.0) == 0.0


def test_thumbs_first_then_the_lowest_priority() -> None:
    pictures = [(Layer.MAIN, 0), (Layer.MAIN, 2), (Layer.THUMB, 1), (Layer.THUMB, 3), (Layer.MAIN, 1)]
    assert sorted(pictures, key=lambda picture: order(*picture)) == [
        (Layer.THUMB, 3),
        (Layer.THUMB, 1),
        (Layer.MAIN, 2),
        (Layer.MAIN, 1),
        (Layer.MAIN, 0),
    ]
