"""Every engine behind the `media` port, one after the other."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.backends import BACKENDS
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.ports.media import MediaEngine
from tests.support import passed_on
from tests.support.janus_stage import inside, janus_engine

PAIR = "pair"
"""Two workers, each of which is full at once: viewers and walls sit beside the home of 320623/room."""


@pytest.fixture(params=("janus",) if inside() else BACKENDS)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MediaEngine]:
    if inside():
        async with janus_engine(tmp_path) as external:
            yield external
        return
    pair = request.param == PAIR
    made = EmbeddedMediaEngine(state_dir=tmp_path / "engine", backend="compiled" if pair else request.param)
    if pair:
        made.workers, made.legs_per_worker = 2, 0
    async with made:
        yield made


@pytest.fixture
def all_codecs() -> Iterator[None]:
    """Publishers may offer VP9, AV1 and H.265 too."""
    with passed_on.taught():
        yield
