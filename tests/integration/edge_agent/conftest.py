"""A test card, a WHIP server that decodes, and the publisher between them."""

import pytest

from edge_agent.cameras import make_camera
from edge_agent.media.publisher import Publisher, Source
from edge_agent.media.sound import SoundSource
from edge_agent.settings import CameraSettings
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from protocols.aio.testcard import tone_hz
from tests.support.whip_stub import WhipStub

STREAM = "320623/room"


@pytest.fixture
async def card():
    camera = make_camera(CameraSettings(name="room", kind="testcard", title="指挥大厅", key_frame_s=4.0), "320623")
    sound = SoundSource("tone", tone_hz("320623"))
    camera.start()
    sound.start()
    yield Source(camera.feed, sound.feed, camera.thumb, camera.bounds(), camera.steer)
    sound.stop()
    await camera.stop()


@pytest.fixture
async def server():
    async with WhipStub() as stub:
        yield stub


@pytest.fixture
async def publisher(card):
    async with Supervisor("test") as tasks:
        yield Publisher({STREAM: card}, SystemClock(), tasks)
