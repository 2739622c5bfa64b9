"""Group commit: one failing caller takes nothing from the others, and no result precedes its commit."""

import asyncio
from pathlib import Path

import pytest

from protocols.aio.commits import GroupCommit
from protocols.aio.spool_file import Ballast, Item, Limits, SpoolFile
from protocols.envelope import Lane
from protocols.errors import NotFoundError, SpoolFullError
from tests.support.events import alarm

EPOCH = "01JGFJJZ000000000000000001"


@pytest.fixture
async def commits(tmp_path: Path):
    file = SpoolFile(tmp_path / "s.db", Limits(1 << 26, 1 << 26, 1e9), fresh_epoch=lambda: EPOCH)
    commits = GroupCommit(file, Ballast(tmp_path / "ballast", 0))
    commits.start()
    yield commits
    await commits.stop()
    file.close()


def item(n):
    return Item(Lane.LIVE, alarm(n).model_dump_json())


async def test_one_bad_operation_spoils_no_other(commits):
    file = commits._file

    def broken():
        file.put([item(99)], 0.0)
        raise ZeroDivisionError("a bug after a write")

    async with asyncio.TaskGroup() as group:
        good = [group.create_task(commits.do(file.put, [item(n)], 0.0)) for n in range(5)]
        bad = group.create_task(_caught(commits.do(broken)))
        missing = group.create_task(_caught(commits.do(file.resend, 7, 0.0)))
    assert isinstance(bad.result(), ZeroDivisionError)
    assert isinstance(missing.result(), NotFoundError)
    numbers = [seq for one in good for seq in one.result()]
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    parcels = await commits.do(file.pending, Lane.LIVE, 0, 100)
    assert len(parcels) == 5, "the broken one left nothing behind"


async def test_no_result_before_its_commit(commits, monkeypatch):
    file, story, commit = commits._file, [], commits._file.commit

    def watched():
        commit()
        story.append("commit")

    monkeypatch.setattr(file, "commit", watched)
    await commits.do(file.put, [item(1)], 0.0)
    story.append("result")
    assert story == ["commit", "result"]


async def test_after_the_stop_everybody_is_told(commits):
    await commits.stop()
    with pytest.raises(SpoolFullError, match="closed"):
        await commits.do(commits._file.depth)


async def test_cancelled_caller_harms_nobody(commits):
    task = asyncio.ensure_future(commits.do(commits._file.put, [item(1)], 0.0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await commits.do(commits._file.put, [item(2)], 0.0)


async def _caught(work):
    try:
        return await work
    except (ZeroDivisionError, NotFoundError) as error:
        return error
