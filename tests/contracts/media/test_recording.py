"""Recordings: forwarded packets in files that play, whoever dies, and nothing of them is encoded anew."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.ports.media import RecordingEnded, RecordingFigures
from protocols.errors import ConfigError, NotFoundError
from tests.support.peers import publisher, read_mark, until
from tests.support.posts import whip

ROOM, HALL = "320623/room", "320681/hall"
NAMES = {"H265": "hevc"}
"""Where FFmpeg's name of a codec is not ours."""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedMediaEngine]:
    """One engine alone: recordings begin behind the packet path, so that one of them proves both."""
    async with EmbeddedMediaEngine(state_dir=tmp_path / "engine") as made:
        yield made


async def forwarded(engine: EmbeddedMediaEngine) -> int:
    """Count the pictures of the one stream that came so far."""
    return (await engine.stats()).streams[0].frames


def growing(engine: EmbeddedMediaEngine, name: str) -> RecordingFigures | None:
    return next((one for one in engine.recordings.figures() if one.recording == name), None)


async def recorded(engine: EmbeddedMediaEngine, name: str, seconds: float) -> None:
    """Wait until so much of a recording is written."""
    await until(lambda: (found := growing(engine, name)) is not None and found.seconds >= seconds, 30)


def watch(path: Path) -> tuple[list[int], int, float]:
    """Play a file: times of its marks (ms), packets of sound, seconds from its first to its last packet."""
    with av.open(str(path)) as file:
        marks, sounds, seen = [], 0, []
        for packet in file.demux():
            if packet.pts is None:
                continue
            seen.append(float(packet.pts * packet.time_base))
            if packet.stream.type == "audio":
                sounds += 1
                packet.decode()
                continue
            found = [read_mark(frame) for frame in packet.decode()]
            marks += [mark.drawn_ms for mark in found if mark is not None]
    return marks, sounds, max(seen) - min(seen)


def probe(path: Path) -> str:
    """Let ffprobe read every packet; what it complains of fails the test."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name", "-of", "csv"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("codec", "suffix"), [("H264", ".mp4"), ("VP8", ".mkv"), ("VP9", ".mp4"), ("AV1", ".mp4"), ("H265", ".mp4")]
)
@pytest.mark.usefixtures("all_codecs")
async def test_a_recording_plays_with_sound_in_real_time(
    engine: EmbeddedMediaEngine, tmp_path: Path, codec: str, suffix: str
) -> None:
    async with publisher(whip(engine, ROOM), "320623", codec, audio=True):
        while not ((await engine.stats()).streams[0].audio_level or 0.0) > 0.1:
            await asyncio.sleep(0.05)  # a tone is heard by its level, without decoding (RFC 6464)
        before = await forwarded(engine)
        name = await engine.record(ROOM, tmp_path / "one")
        await recorded(engine, name, 2.0)
        came = await forwarded(engine) - before
        ended = await engine.stop_recording(name)
    assert (ended.reason, ended.lost, ended.files) == ("closed", 0, (f"one{suffix}",))
    path = tmp_path / ended.files[0]
    assert ended.octets == path.stat().st_size
    marks, sounds, seconds = watch(path)
    assert len(marks) >= came - 4, "the kept group of pictures makes it more"
    assert marks == sorted(marks)
    assert sounds > 5
    assert abs(seconds - ended.seconds) < 0.3
    assert abs((marks[-1] - marks[0]) / 1000 - seconds) < 0.5, "seconds of the file are seconds of the world"
    assert NAMES.get(codec, codec.lower()) in probe(path)
    with pytest.raises(NotFoundError):
        await engine.stop_recording(name)


async def test_it_goes_on_over_a_gap_of_its_source_in_the_same_file(
    engine: EmbeddedMediaEngine, tmp_path: Path
) -> None:
    name = await engine.record(ROOM, tmp_path / "gap.mp4")
    async with publisher(whip(engine, ROOM)):
        await recorded(engine, name, 1.0)
    async with publisher(whip(engine, ROOM)):
        have = growing(engine, name)
        assert have is not None
        await recorded(engine, name, have.seconds + 1.5)
        ended = await engine.stop_recording(name)
    assert ended.files == ("gap.mp4",)
    marks, _, seconds = watch(tmp_path / "gap.mp4")
    assert abs((marks[-1] - marks[0]) / 1000 - seconds) < 0.5


async def test_another_codec_begins_another_part(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    name = await engine.record(ROOM, tmp_path / "two")
    async with publisher(whip(engine, ROOM)):
        await recorded(engine, name, 1.0)
    async with publisher(whip(engine, ROOM), codec="VP8"):
        await until(lambda: (have := growing(engine, name)) is not None and len(have.files) == 2)
        await recorded(engine, name, 2.0)
        ended = await engine.stop_recording(name)
    assert ended.files == ("two.mp4", "two.2.mkv")
    assert all(watch(tmp_path / file)[0] for file in ended.files)


async def test_nothing_came_and_nowhere_to_write(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    clip = await engine.clip(ROOM, tmp_path / "none", 0.05)
    assert (clip.reason, clip.files, clip.octets) == ("source_gone", (), 0)
    with pytest.raises(ConfigError):
        await engine.record(ROOM, tmp_path / "missing" / "one")


async def test_a_clip_ends_by_itself(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    async with publisher(whip(engine, ROOM)):
        await engine.still(ROOM, timeout_s=10)
        clip = await engine.clip(ROOM, tmp_path / "clip", 1.5)
    assert clip.reason == "closed"
    assert clip.seconds >= 1.0
    assert watch(tmp_path / "clip.mp4")[0]


async def test_a_full_disk_ends_one_recording_and_no_other(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    """The limit on the size of a file stands in for the disk: the longer recording meets it first."""
    events = engine.events()
    async with publisher(whip(engine, ROOM)), publisher(whip(engine, HALL), rate=3):
        full, other = await engine.record(ROOM, tmp_path / "full"), await engine.record(HALL, tmp_path / "other")
        await recorded(engine, full, 0.5)
        pid = engine.recordings.process_id
        assert pid is not None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        await until(lambda: growing(engine, full) is None)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        ended = await anext(event async for event in events if isinstance(event, RecordingEnded))
        assert (ended.recording, ended.reason) == (full, "disk")
        have = growing(engine, other)
        assert have is not None
        await recorded(engine, other, have.seconds + 1)
        assert (await engine.stop_recording(other)).reason == "closed"
    assert watch(tmp_path / "full.mp4")[0], "what was written before plays"


async def test_the_recorder_dies_and_the_recording_goes_on(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    async with publisher(whip(engine, ROOM)):
        name = await engine.record(ROOM, tmp_path / "kill")
        await recorded(engine, name, 1.5)
        pid = engine.recordings.process_id
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: (have := growing(engine, name)) is not None and len(have.files) == 2, 30)
        have = growing(engine, name)
        assert have is not None
        await recorded(engine, name, have.seconds + 1)
        ended = await engine.stop_recording(name)
    assert ended.files == ("kill.mp4", "kill.2.mp4")
    assert all(watch(tmp_path / file)[0] for file in ended.files)
    assert engine.recordings.restarts == 1


async def test_the_worker_dies_and_the_recording_goes_on(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    name = await engine.record(ROOM, tmp_path / "worker")
    async with publisher(whip(engine, ROOM)):
        await recorded(engine, name, 1.0)
        assert engine.worker_pid is not None
        os.kill(engine.worker_pid, signal.SIGKILL)
        await until(lambda: engine.worker_pid is None)
    await until(lambda: engine.worker_pid is not None, 60)
    async with publisher(whip(engine, ROOM)):
        have = growing(engine, name)
        assert have is not None
        await recorded(engine, name, have.seconds + 1)
        ended = await engine.stop_recording(name)
    assert ended.files == ("worker.mp4",)
    marks, _, seconds = watch(tmp_path / "worker.mp4")
    assert abs((marks[-1] - marks[0]) / 1000 - seconds) < 0.5


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1", "H265"])
async def test_kill_9_of_everything_leaves_a_file_that_plays(tmp_path: Path, codec: str) -> None:
    """Engine, worker and recorder die at once; the file plays up to two seconds before."""
    program = Path(__file__).parents[2] / "support" / "recording_engine.py"
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), str(tmp_path), ROOM, codec),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert engine.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert (await engine.stdout.readline()).strip() == b"recording"
            seconds = 0.0
            while seconds < 3.0:
                seconds = float(await engine.stdout.readline())
    finally:
        os.killpg(engine.pid, signal.SIGKILL)
        await engine.wait()
    path = tmp_path / ("dead.mkv" if codec == "VP8" else "dead.mp4")
    marks, sounds, there = watch(path)
    assert there >= seconds - 2.0
    assert (marks[-1] - marks[0]) / 1000 >= seconds - 2.5
    assert sounds
    assert NAMES.get(codec, codec.lower()) in probe(path)
