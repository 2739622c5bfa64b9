"""By which address workers reach each other; the rest is proved with real ones in `tests/contracts/media`."""

import pytest

from gateway.adapters.media_embedded.bridges import inside


@pytest.mark.parametrize(
    ("bound", "address"),
    [
        (("127.0.0.1",), "127.0.0.1"),
        (("0.0.0.0", "::"), "127.0.0.1"),
        (("::",), "::1"),
        (("10.1.0.5",), "10.1.0.5"),
    ],
)
def test_bridges_stay_on_this_machine(bound: tuple[str, ...], address: str) -> None:
    assert inside(bound) == address
