"""Where the engine listens, and what it refuses to be configured with."""

from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from protocols.errors import ConfigError


@pytest.mark.parametrize("advertise", [(), ("city.example",), ("0.0.0.0",), ("10.0.0.0/8=10.0.0.1",)])
def test_what_peers_could_not_reach_is_refused(tmp_path: Path, advertise: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        EmbeddedMediaEngine(state_dir=tmp_path, advertise=advertise)


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batched, reference"):
        EmbeddedMediaEngine(state_dir=tmp_path, backend="magic")
