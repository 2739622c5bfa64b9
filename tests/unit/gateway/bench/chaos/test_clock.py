"""The clock of a run: stepped from outside at once, wall time alone."""

from datetime import UTC, datetime
from pathlib import Path

from gateway.bench.chaos.clock import SteppedClock, step


def test_a_step_moves_the_wall_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "some.clock"
    step(file, 0.0)
    clock = SteppedClock(file)
    before = clock.monotonic()
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60
    step(file, -3600.0)
    assert 3540 < (datetime.now(UTC) - clock.now()).total_seconds() < 3660
    assert 0 <= clock.monotonic() - before < 60
