"""A recording holds its stream, ends by name, and leaves a row that tells the truth of its files."""

import hashlib

import pytest

from gateway.recordings import service as rules
from gateway.recordings.machine import Ending, RecordingState
from protocols.errors import NotFoundError, SpoolFullError, WrongMomentError
from tests.support.engines import PaperEngine
from tests.support.recording_stage import STREAM, stage


async def ended(room, recording_id):
    record = await room.get(recording_id)
    while record.state is RecordingState.RUNNING:
        record = await room.get(recording_id)
    return record


async def test_from_start_to_stop(tmp_path):
    async with stage(tmp_path) as made:
        record = await made.room.start(STREAM, seconds=None, reason="事故现场", by="wang")
        assert made.streams.held == {STREAM: f"recording-{record.id}"}
        with pytest.raises(WrongMomentError):
            await made.room.remove(record.id)
        stopped = await made.room.stop(record.id, by="shen")
        assert (stopped.state, stopped.ending, stopped.stopped_by) == (RecordingState.CLOSED, Ending.STOPPED, "shen")
        assert (stopped.seconds, stopped.octets, stopped.reason) == (1.5, 700, "事故现场")
        digest = hashlib.sha256(b"picture" * 100).hexdigest()
        assert stopped.files == [{"name": f"{record.id}.mp4", "octets": 700, "sha256": digest}]
        assert made.streams.held == {}
        assert await made.room.stop(record.id, by="li") == stopped, "stopping twice is harmless"
        assert [one.id for one in await made.room.page()] == [record.id]
        assert await made.room.page(before=record.id) == []
        with pytest.raises(NotFoundError):
            await made.room.start("320612/cellar", seconds=None, reason="", by="wang")


async def test_it_ends_when_its_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setattr(rules, "LOOK_S", 0.01)
    async with stage(tmp_path) as made:
        record = await made.room.start(STREAM, seconds=0.05, reason="", by="wang")
        assert (await ended(made.room, record.id)).ending is Ending.TIME


async def test_a_full_disk_and_a_silent_camera_are_named(tmp_path):
    async with stage(tmp_path) as made:
        for reason, ending in (("disk", Ending.DISK), ("source_gone", Ending.NO_PICTURE), ("failed", Ending.FAILED)):
            record = await made.room.start(STREAM, seconds=None, reason="", by="wang")
            await made.engine.stop_recording(next(iter(made.engine.recordings)), reason)
            assert (await ended(made.room, record.id)).ending is ending


async def test_the_quota_refuses_new_ones_ends_running_ones_and_removes_none(tmp_path, monkeypatch):
    async with stage(tmp_path) as made:
        first = await made.room.start(STREAM, seconds=None, reason="", by="wang")
        await made.room.stop(first.id, by="wang")
    monkeypatch.setattr(rules, "LOOK_S", 0.01)
    async with stage(tmp_path, gib=1000 / (1 << 30)) as made:
        second = await made.room.start(STREAM, seconds=None, reason="", by="wang")
        assert (await ended(made.room, second.id)).ending is Ending.QUOTA
        with pytest.raises(SpoolFullError, match="recording_gib"):
            await made.room.start(STREAM, seconds=None, reason="", by="wang")
        assert (await made.room.get(first.id)).state is RecordingState.CLOSED
        assert await made.room.file(first.id, 1)
        await made.room.remove(first.id)
        removed = await made.room.get(first.id)
        assert (removed.state, removed.octets) == (RecordingState.REMOVED, 0)
        with pytest.raises(NotFoundError):
            await made.room.file(first.id, 1)


async def test_a_gateway_that_stops_closes_its_recordings(tmp_path):
    async with stage(tmp_path) as made:
        record = await made.room.start(STREAM, seconds=None, reason="", by="wang")
    async with stage(tmp_path) as made:
        found = await made.room.get(record.id)
        assert (found.state, found.ending) == (RecordingState.CLOSED, Ending.SHUTDOWN)


async def test_what_a_gateway_that_died_left_is_closed_with_what_is_there(tmp_path):
    class DeadEngine(PaperEngine):
        async def stop_recording(self, recording, reason="closed"):
            raise SystemError("died")

    async def die():
        async with stage(tmp_path, engine=DeadEngine()) as made:
            begun.append(await made.room.start(STREAM, seconds=None, reason="", by="wang"))

    begun = []
    with pytest.raises(SystemError):
        await die()
    (record,) = begun
    async with stage(tmp_path) as made:
        found = await made.room.get(record.id)
        assert (found.state, found.ending, found.octets) == (RecordingState.CLOSED, Ending.RESTART, 700)
        assert found.files[0]["sha256"]
        assert made.room.octets == 700
