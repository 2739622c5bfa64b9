"""A real process killed with -9 while it writes, and a disk that is really full."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.aio.clock import ManualClock, SystemClock
from protocols.aio.spool import MIB, Quota, Spool
from protocols.envelope import Lane
from protocols.errors import SpoolFullError
from tests.support.events import alarm

WRITER = """
import asyncio, sys
from pathlib import Path
from protocols.aio.clock import SystemClock
from protocols.aio.spool import Quota, Spool
from protocols.envelope import Lane
from tests.support.events import alarm

async def main():
    spool = await Spool.open(Path(sys.argv[1]), clock=SystemClock(), quota=Quota(ballast=0))
    async def one(n):
        await spool.put(Lane.URGENT, alarm(n))
        sys.stdout.write(f"{n}\\n")  # the acknowledgement that the sensor hears
        sys.stdout.flush()
    n = int(sys.argv[2])
    while True:
        await asyncio.gather(*(one(n + i) for i in range(20)))
        n += 20

asyncio.run(main())
"""


async def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    acked: list[int] = []
    dice = random.Random(9)
    for turn in range(4):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path / "s.db"), str(turn * 1_000_000), stdout=subprocess.PIPE
        )
        enough = dice.randrange(40, 400)
        said = 0
        async with asyncio.timeout(60):
            while said < enough:
                acked.append(int(await process.stdout.readline()))
                said += 1
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        acked += [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
        await process.wait()
    connection = sqlite3.connect(tmp_path / "s.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(ballast=0))
    try:
        found, seqs = set(), []
        for lane in (Lane.URGENT, Lane.BACKFILL):
            after = 0
            while parcels := await spool.pending(lane, after, 512):
                after = parcels[-1].last
                found |= {int(one.body.split('"origincounter":')[1].split(",")[0]) for one in parcels}
                seqs += [(lane, one.first) for one in parcels]
        assert len(acked) > 160
        assert not set(acked) - found, "acknowledged and lost"
        assert len(seqs) == len(set(seqs))
    finally:
        await spool.close()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int):
    """Mount a tmpfs of that size; skip where that is not permitted."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.external
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
async def test_disk_filled_by_another_program(tmp_path):
    clock = ManualClock()
    with small_disk(tmp_path / "disk", 16) as disk:
        spool = await Spool.open(disk / "s.db", clock=clock, quota=Quota(total=64 * MIB, ballast=1 * MIB))
        try:
            stored = 0
            for _ in range(200):
                await spool.put(Lane.URGENT, alarm(stored))
                stored += 1
            filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
            with contextlib.suppress(OSError):
                while True:
                    os.write(filler, b"x" * 65536)
            os.close(filler)
            while True:
                try:
                    await spool.put(Lane.URGENT, alarm(stored, pad=150))
                    stored += 1
                except SpoolFullError:
                    break
                assert stored < 20_000
            assert spool.counters["ballast_released"] == 1
            assert not (await spool.figures()).ballast
            assert sum((await spool.depth()).values()) == stored, "what was acknowledged is there"
            (disk / "filler").unlink()
            await spool.put(Lane.URGENT, alarm(stored))
            await clock.advance(60)
            await spool._tidy()
            assert (await spool.figures()).ballast, "built again once there is room"
        finally:
            await spool.close()
        connection = sqlite3.connect(disk / "s.db")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
