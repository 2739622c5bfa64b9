"""Every engine behind the `media` port, one after the other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import BACKENDS, EmbeddedMediaEngine


@pytest.fixture(params=BACKENDS)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedMediaEngine]:
    async with EmbeddedMediaEngine(state_dir=tmp_path / "engine", backend=request.param) as made:
        yield made
