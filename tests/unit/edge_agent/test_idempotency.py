import asyncio
import sqlite3

import pytest

from edge_agent.sensors.idempotency import Requests
from protocols.errors import SpoolFullError


async def test_many_at_once_share_commits_and_are_all_kept(tmp_path):
    requests = Requests(tmp_path / "r.sqlite3")
    await asyncio.gather(*(requests.begin(f"k{n}", b"x", (f"id{n}",), 1000.0) for n in range(50)))
    for n in range(50):
        known = await requests.find(f"k{n}", b"x")
        assert (known.ids, known.same, known.done) == ((f"id{n}",), True, False)
    requests.close()


async def test_old_requests_are_forgotten(tmp_path):
    requests = Requests(tmp_path / "r.sqlite3")
    await requests.begin("old", b"x", ("a",), 1000.0)
    await requests.begin("new", b"x", ("b",), 1000.0 + 73 * 3600)
    assert await requests.find("old", b"x") is None
    assert await requests.find("new", b"y") is not None
    requests.close()


async def test_a_disk_that_takes_no_more_is_an_error_that_the_sensor_sees(tmp_path):
    requests = Requests(tmp_path / "r.sqlite3")
    await requests.begin("a", b"x", ("1",), 1000.0)
    requests.finish("a")
    requests._db.execute("PRAGMA query_only=ON")
    with pytest.raises(SpoolFullError):
        await requests.begin("b", b"x", ("2",), 1000.0)
    requests._db.execute("PRAGMA query_only=OFF")
    await requests.begin("b", b"x", ("3",), 1000.0)
    assert (await requests.find("b", b"x")).ids == ("3",)
    requests.close()
    with sqlite3.connect(tmp_path / "r.sqlite3") as db:
        assert db.execute("SELECT done FROM request WHERE key = 'a'").fetchone() == (1,)
    db.close()
