"""Gathering on paper: pictures as the test wishes them, evidence on a real store."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway.adapters.blob_files import FileBlobs
from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus
from gateway.metrics import Metrics
from gateway.ports.media import Capability, EngineStats, RecordingEnded
from gateway.rollcall import gatherer as module
from gateway.rollcall.evidence import Evidence
from gateway.rollcall.gatherer import Gatherer
from gateway.rollcall.records import PointRecord
from gateway.rollcall.rules.chain import EvidenceKind
from protocols.aio.clock import ManualClock, SystemClock
from protocols.command import RollCallAnswer
from protocols.errors import NotFoundError, SpoolFullError
from protocols.health import BoxHealth, CameraHealth, Verdict
from protocols.picture import PictureFigures
from protocols.rollcall import CheckName, CheckResult, Defect
from tests.support.databases import at_newest_schema
from tests.support.rooms import picture, until

CALL, STREAM = "0" * 26, "320623/room"
CLOCK = SystemClock()
CLEAN = PictureFigures(exact="a", grain=b"", edges=20.0, span=60.0, cast=0.0, stripes=0.0)


@dataclass
class Cameras:
    """A camera that moves; `number` is what it shows, `dark` that it gives nothing."""

    number: str | None = None
    dark: bool = False
    looks: int = 0

    async def still(self, stream, *, newer_than=None, timeout_s=3.0):
        await asyncio.sleep(0.01)
        if self.dark:
            raise NotFoundError("no picture")
        self.looks += 1
        one = picture(stream, CLOCK.monotonic(), random.randbytes(576))
        return replace(one, figures=replace(CLEAN, challenge=self.number))


@dataclass
class PaperClips:
    """An engine that records a few bytes."""

    capabilities: frozenset = frozenset({Capability.RECORD})
    cut: int = 0
    files: list = field(default_factory=list)

    async def clip(self, stream, path, seconds):
        path.write_bytes(b"part of a clip")
        self.files.append(path)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        path.write_bytes(b"a whole clip")
        return RecordingEnded("r", stream, "closed", seconds, 12, 0, (path.name,))

    async def stats(self):
        return EngineStats((), {}, {}, 0, 0.0)


@dataclass
class Stage:
    gatherer: Gatherer
    evidence: Evidence
    cameras: Cameras
    clips: PaperClips
    metrics: Metrics


@asynccontextmanager
async def stage(folder, monkeypatch, *, demanding=False, clock=CLOCK, **changed):
    for name, value in {"LOOK_S": 0.02, "SECOND_STILL_S": 0.1, "CLIP_S": 0.3, "RETRY_S": 0.02, **changed}.items():
        monkeypatch.setattr(module, name, value)
    metrics, cameras, clips = Metrics(), Cameras(), PaperClips()
    async with SqliteStore(at_newest_schema(folder / "gateway.db"), "320600", clock, EventBus().publish) as store:
        evidence = Evidence(store, FileBlobs(folder / "blobs"), clock, metrics, retention_days=180)
        folders = folder / "clips"
        async with Gatherer(evidence, cameras, clips, clock, metrics, folders, demanding=demanding) as gatherer:
            yield Stage(gatherer, evidence, cameras, clips, metrics)


def point(**values):
    return PointRecord(CALL, "320623", 1, "如东县", camera="room", owner="320623-box", **values)


def answer(on_battery=False):
    health = CameraHealth(verdict=Verdict.UNPROVEN)
    return RollCallAnswer(
        answered_by="甲", answered_at=CLOCK.now(), camera=health, box=BoxHealth(on_battery=on_battery)
    )


async def begun(made, one):
    await made.gatherer.begin(one, drill=False)
    await made.gatherer.answered(one, answer())


def by_name(checks):
    return {check.name: check for check in checks}


async def test_stills_clip_and_record_are_kept_and_named_by_the_checks(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        one = point(first_frame_s=0.4)
        await begun(made, one)
        await until(lambda: made.cameras.looks > 12)
        checks = by_name(await made.gatherer.end(one))
        kept = await made.evidence.of(CALL, "320623")
        kinds = [link.kind for link in kept]
        assert kinds.count(EvidenceKind.STILL) == 3
        assert kinds.count(EvidenceKind.CLIP) == 1
        assert kinds.count(EvidenceKind.RECORD) == 1
        clip = next(link for link in kept if link.kind is EvidenceKind.CLIP)
        assert (await made.evidence.content(CALL, "320623", clip.sha256))[1] == b"a whole clip"
        assert checks[CheckName.PICTURE].result is CheckResult.GOOD
        stills = {link.sha256 for link in kept if link.kind is EvidenceKind.STILL}
        assert stills | {clip.sha256} == set(checks[CheckName.PICTURE].evidence)
        assert checks[CheckName.POWER].value == "mains"
        assert checks[CheckName.LINK].value == 0.4
        assert not list((tmp_path / "clips").iterdir())


async def test_pictures_that_the_verdict_fetches_are_not_fetched_again(tmp_path, monkeypatch):
    clock = ManualClock()
    async with stage(tmp_path, monkeypatch, clock=clock, LOOK_S=1.5) as made:
        one = point()
        await begun(made, one)
        for _ in range(4):
            await clock.advance(1.0)
            await made.gatherer.seen(one, picture(STREAM, clock.monotonic(), random.randbytes(576)))
        assert made.cameras.looks == 0
        await clock.advance(1.6)
        await until(lambda: made.cameras.looks == 1)
        assert len(await made.evidence.of(CALL, "320623")) == 2


async def test_a_camera_that_gives_nothing_is_lost_and_leaves_a_record(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        made.cameras.dark = True
        one = point()
        await begun(made, one)
        await asyncio.sleep(0.05)
        checks = by_name(await made.gatherer.end(one))
        assert (checks[CheckName.PICTURE].result, checks[CheckName.PICTURE].defect) == (CheckResult.BAD, Defect.LOST)
        assert [link.kind for link in await made.evidence.of(CALL)] == [EvidenceKind.RECORD]
        assert made.clips.files == []


async def test_a_number_that_is_shown_is_read_back_and_its_picture_kept(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        one = point(challenge="4711")
        await begun(made, one)
        waiting = asyncio.ensure_future(made.gatherer.read_back(one, "4711"))
        made.cameras.number = "4712"
        await until(lambda: made.cameras.looks > 3)
        assert not waiting.done()
        made.cameras.number = "4711"
        assert await waiting
        checks = by_name(await made.gatherer.end(one))
        assert checks[CheckName.SCENE].result is CheckResult.GOOD
        assert any("口令" in link.note for link in await made.evidence.of(CALL))


async def test_a_new_round_begins_afresh_and_what_was_kept_stays(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch, CLIP_S=60.0) as made:
        one = point()
        await begun(made, one)
        await until(lambda: made.clips.files)
        await begun(made, one)
        assert made.clips.cut == 1
        kinds = [link.kind for link in await made.evidence.of(CALL)]
        assert EvidenceKind.STILL in kinds
        assert EvidenceKind.CLIP in kinds, "what there is of a clip that was cut off"
        await until(lambda: len(made.clips.files) == 2)
    assert made.clips.cut == 2, "leaving ends what runs"


async def test_evidence_that_cannot_be_kept_is_counted_and_said_and_the_checks_come_all_the_same(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:

        async def full(*_):
            raise SpoolFullError("no room for a picture")

        monkeypatch.setattr(made.evidence, "keep", full)
        one = point(first_frame_s=0.4)
        await begun(made, one)
        await until(lambda: made.cameras.looks > 6)
        checks = by_name(await made.gatherer.end(one))
        assert checks[CheckName.PICTURE].result is CheckResult.GOOD
        assert checks[CheckName.PICTURE].evidence == ()
        assert "spool_full" in checks[CheckName.PICTURE].note
        assert 'silian_rollcall_evidence_lost_total{reason="spool_full"}' in made.metrics.render().decode()


async def test_an_engine_that_cannot_record_gives_no_clip_and_no_error(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        made.clips.capabilities = frozenset()
        one = point()
        await begun(made, one)
        await until(lambda: made.cameras.looks > 6)
        await made.gatherer.end(one)
        assert made.clips.files == []
        assert "evidence_lost_total{" not in made.metrics.render().decode()


async def test_a_point_without_camera_or_round_has_no_checks(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        bare = PointRecord(CALL, "320681", 2, "启东市")
        await made.gatherer.begin(bare, drill=False)
        await made.gatherer.answered(bare, answer())
        assert not await made.gatherer.read_back(bare, "1234")
        assert await made.gatherer.end(bare) == ()


async def test_clips_that_a_dead_gateway_left_are_removed(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "old.mp4").write_bytes(b"half")
    async with stage(tmp_path, monkeypatch):
        assert not list((tmp_path / "clips").iterdir())


async def test_a_number_that_is_asked_for_after_the_end_is_looked_for_again(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        one = point()
        await begun(made, one)
        await until(lambda: made.cameras.looks > 3)
        await made.gatherer.end(one)
        made.cameras.number = "0815"
        assert await made.gatherer.read_back(one, "0815")
        checks = by_name(await made.gatherer.end(one))
        assert checks[CheckName.PICTURE].result is CheckResult.GOOD
        assert checks[CheckName.SCENE].result is CheckResult.GOOD
        assert not await made.gatherer.end(one)


async def test_where_proof_is_demanded_life_alone_is_unproven(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch, demanding=True) as made:
        one = point()
        await begun(made, one)
        await until(lambda: made.cameras.looks > 6)
        assert by_name(await made.gatherer.end(one))[CheckName.PICTURE].result is CheckResult.UNPROVEN
        made.cameras.number = "0815"
        assert await made.gatherer.read_back(one, "0815")
        assert by_name(await made.gatherer.end(one))[CheckName.PICTURE].result is CheckResult.GOOD


async def test_a_round_that_is_broken_off_is_looked_at_no_more_and_keeps_what_was_seen(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch, CLIP_S=60.0) as made:
        one = point()
        await begun(made, one)
        await until(lambda: made.cameras.looks > 2)
        await until(lambda: made.clips.files)
        await made.gatherer.broken_off(one)
        looks = made.cameras.looks
        await asyncio.sleep(0.3)  # fifteen looks of a round that goes on
        assert (made.cameras.looks, made.clips.cut) == (looks, 1)
        kinds = {item.kind for item in await made.evidence.of(CALL, "320623")}
        assert kinds >= {EvidenceKind.STILL, EvidenceKind.CLIP, EvidenceKind.RECORD}
        assert not list((tmp_path / "clips").iterdir())
        await made.gatherer.broken_off(one)  # there is none any more


async def test_a_round_that_was_not_answered_is_broken_off_without_a_trace(tmp_path, monkeypatch):
    async with stage(tmp_path, monkeypatch) as made:
        await made.gatherer.begin(point(), drill=False)
        await made.gatherer.broken_off(point())
        assert await made.evidence.of(CALL, "320623") == []
