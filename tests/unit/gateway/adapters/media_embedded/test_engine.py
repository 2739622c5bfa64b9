"""Where the engine listens, and what it refuses to be configured with."""

from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine, bind_address
from protocols.errors import ConfigError


@pytest.mark.parametrize(
    ("advertise", "host", "bound"),
    [
        (("127.0.0.1",), None, "127.0.0.1"),
        (("127.0.0.1", "192.0.2.1"), None, "0.0.0.0"),
        (("192.0.2.1",), "192.0.2.1", "192.0.2.1"),
        (("203.0.113.1",), "0.0.0.0", "0.0.0.0"),
        (("127.0.0.1",), "127.0.0.1", "127.0.0.1"),
    ],
)
def test_loopback_stays_on_loopback(advertise: tuple[str, ...], host: str | None, bound: str) -> None:
    assert bind_address(advertise, host) == bound


@pytest.mark.parametrize(
    ("advertise", "host"),
    [
        ((), None),
        (("city.example",), None),
        (("::1",), None),
        (("0.0.0.0",), None),
        (("192.0.2.1",), "127.0.0.1"),
        (("192.0.2.1",), "nowhere"),
    ],
)
def test_what_peers_could_not_reach_is_refused(advertise: tuple[str, ...], host: str | None) -> None:
    with pytest.raises(ConfigError):
        bind_address(advertise, host)


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batched, reference"):
        EmbeddedMediaEngine(state_dir=tmp_path, backend="magic")
