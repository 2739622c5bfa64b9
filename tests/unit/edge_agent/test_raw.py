"""A raw camera judged through its own eyes: live, frozen, black, and encoded only while wanted."""

import time
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace

import av
import pytest

from edge_agent.cameras import make_camera, v4l2
from edge_agent.cameras.raw import RawCamera
from edge_agent.cameras.source import CameraError
from edge_agent.settings import CameraSettings
from protocols import challenge
from protocols.health import Verdict
from protocols.picture import PictureJudge
from tests.support.until import until


def now():
    return time.monotonic(), datetime.now(UTC)


@pytest.fixture
async def card():
    camera = make_camera(CameraSettings(name="room", kind="testcard", width=320, height=180), "320623")
    camera.judge = PictureJudge(frozen_after_s=1.5)
    camera.start()
    yield camera
    await camera.stop()


async def test_faults_are_seen_as_what_they_are(card):
    await until(lambda: card.health(*now()).verdict is Verdict.LIVE)
    card.rehearse("frozen")
    await until(lambda: card.health(*now()).verdict is Verdict.FROZEN)
    card.rehearse("black")
    await until(lambda: card.health(*now()).verdict is Verdict.BLACK)
    card.rehearse("")
    await until(lambda: card.health(*now()).verdict is Verdict.LIVE)
    assert (await card.prove(datetime.now(UTC))).frame_age_ms < 1000


async def test_nothing_is_encoded_until_somebody_reads(card):
    await until(lambda: card.health(*now()).frame_age_ms is not None)
    assert not any(layer.running for layer in card.layers)
    reader = card.feed.subscribe()
    first = await reader.next()
    assert first.key
    stamps = [(await reader.next()).pts for _ in range(10)]
    assert stamps == sorted(set(stamps))
    reader.close()
    await until(lambda: not any(layer.running for layer in card.layers))


class Broken(RawCamera):
    tries = 0

    def grabs(self):
        self.tries += 1
        raise CameraError("no_device", "unplugged")
        yield


async def test_a_source_that_fails_is_named_and_tried_again():
    camera = Broken(CameraSettings(name="room", kind="v4l2"), "320623")
    camera.start()
    await until(lambda: camera.tries >= 3)
    health = camera.health(*now())
    assert (health.verdict, health.fault) == (Verdict.NO_PICTURE, "no_device")
    assert camera.restarts >= 2
    await camera.stop()


async def test_a_missing_device_is_a_named_fault():
    camera = make_camera(CameraSettings(name="room", kind="v4l2", device="/dev/video-none"), "320623")
    camera.start()
    await until(lambda: camera.trouble == "no_device")
    await camera.stop()


async def test_packets_of_a_device_become_pictures_at_the_asked_rate(monkeypatch):
    """A synthetic device: the same packets of raw pictures that a capture card gives, 60 a second by its clock."""
    ticks = count()
    monkeypatch.setattr(v4l2, "time", SimpleNamespace(monotonic=lambda: next(ticks) / 60))
    settings = CameraSettings(name="room", kind="v4l2", frame_rate=15)
    camera = make_camera(settings, "320623")
    with av.open("testsrc2=size=320x240:rate=60:duration=1", format="lavfi") as device:
        pictures = [grab() for grab in camera._packets(device)]
    assert pictures[0].shape == (240, 320, 3)
    assert 15 <= len(pictures) <= 16
    assert (pictures[0] != pictures[-1]).any()


async def test_a_challenge_number_is_shown_and_changes_nothing_of_what_the_camera_is_judged_by(card):
    await until(lambda: card.health(*now()).verdict is Verdict.LIVE)
    card.number = "0815"
    reader = card.feed.subscribe()
    decoder = av.CodecContext.create("h264", "r")
    read = []

    async def shown():
        for frame in decoder.decode(av.Packet((await reader.next()).data)):
            luma = frame.to_ndarray(format="gray")
            read.append(challenge.read(frame.width, frame.height, lambda x, y, seen=luma: float(seen[y, x])))
        return read and read[-1]

    for _ in range(60):
        if await shown() == "0815":
            break
    assert read[-1] == "0815"
    card.number = None
    for _ in range(60):
        if await shown() is None:
            break
    assert read[-1] is None
    card.rehearse("frozen")
    card.number = "0815"
    await until(lambda: card.health(*now()).verdict is Verdict.FROZEN)
    reader.close()
