"""What the store's contracts stand on: a fresh database of each kind, opened by the test itself."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from protocols.aio.clock import ManualClock
from tests.support.databases import Bench, new_bench

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return await new_bench(request.param, tmp_path, ManualClock(START))


@pytest.fixture
async def file_bench(tmp_path: Path) -> Bench:
    return await new_bench("sqlite", tmp_path, ManualClock(START))
