"""One gateway per state directory."""

import os
from pathlib import Path

import pytest

from gateway.state_lock import StateLock
from protocols.errors import ConfigError


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with StateLock(tmp_path / "g.lock"), pytest.raises(ConfigError, match=str(os.getpid())):
        StateLock(tmp_path / "g.lock").__enter__()
    with StateLock(tmp_path / "g.lock"):
        pass
