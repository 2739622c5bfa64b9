"""Evidence of one point from a real publisher through a real engine: stills, a clip that plays, sound, line."""

import json
from functools import partial

import av
import pytest

from gateway.adapters.blob_files import FileBlobs
from gateway.media.machine import Kind
from gateway.metrics import Metrics
from gateway.rollcall.evidence import Evidence
from gateway.rollcall.gatherer import CLIP_S, Gatherer
from gateway.rollcall.machine import Profile
from gateway.rollcall.records import PointRecord
from gateway.rollcall.rules.chain import EvidenceKind
from protocols.command import RollCallAnswer
from protocols.health import CameraHealth, Verdict
from protocols.rollcall import CheckName, CheckResult, Defect
from tests.support.media_tier import AgentPeer, Tier, until_true
from tests.support.rooms import Ways

CALL = "0" * 26


@pytest.mark.parametrize("story", ["live", "frozen"])
async def test_a_point_leaves_stills_a_clip_that_plays_sound_and_line(tmp_path, story):
    async with Tier(Ways.city(("320612",)), tmp_path / "city", Profile()) as city, AgentPeer("320612", story) as box:
        box.under(city)
        pictures = city.media.holding(Kind.ROLL_CALL)
        evidence = Evidence(city.store, FileBlobs(tmp_path / "blobs"), city.clock, Metrics(), retention_days=180)
        async with Gatherer(evidence, pictures, city.engine, city.clock, Metrics(), tmp_path / "clips") as gatherer:
            point = PointRecord(CALL, "320612", 1, "通州区", camera="room", owner=box.node)
            await gatherer.begin(point, drill=False)
            health = CameraHealth(verdict=Verdict.UNPROVEN)
            answer = RollCallAnswer(answered_by="甲", answered_at=city.clock.now(), camera=health)
            pictures.hold("320612/room", "test")
            await gatherer.answered(point, answer)

            await until_true(partial(evidence.of, CALL), 60)
            checks = {check.name: check for check in await gatherer.end(point)}
        (clip,) = [link for link in await evidence.of(CALL) if link.kind is EvidenceKind.CLIP]
        kept = {link.kind: link.sha256 for link in await evidence.of(CALL, "320612")}
        assert set(kept) == set(EvidenceKind) - {EvidenceKind.DELETION}
        _, content = await evidence.content(CALL, "320612", clip.sha256)
        _judge_clip(tmp_path, clip.media_type, content)
        track = json.loads((await evidence.content(CALL, "320612", kept[EvidenceKind.SOUND]))[1])["track"]
        assert len(track) > 20
        series = json.loads((await evidence.content(CALL, "320612", kept[EvidenceKind.SERIES]))[1])["seconds"]
        assert sum(second["kbps"] for second in series) > 0
        assert checks[CheckName.LINE].result is CheckResult.GOOD
        if story == "live":
            assert checks[CheckName.PICTURE].result is CheckResult.GOOD
            assert checks[CheckName.SCENE].result is CheckResult.GOOD, "the clock in the picture goes right"
        else:
            assert checks[CheckName.PICTURE].defect is Defect.FROZEN
        assert (await evidence.verify()).fault is None


def _judge_clip(tmp_path, media_type, content):
    file = tmp_path / ("clip.mp4" if media_type == "video/mp4" else "clip.mkv")
    file.write_bytes(content)
    with av.open(file) as played:
        kinds = {stream.type for stream in played.streams}
        assert kinds == {"video", "audio"}
        times = [frame.time for frame in played.decode(video=0)]
    assert times[-1] - times[0] > 0.7 * CLIP_S
