"""Pass-through from a real RTSP server: byte for byte, without a decoder, and back after a cut."""

import asyncio
import time
from datetime import UTC, datetime
from itertools import pairwise

import av

from edge_agent.cameras import make_camera
from edge_agent.settings import CameraSettings
from protocols.aio.h264 import nal_type, nal_units
from protocols.health import Verdict
from protocols.testmark import decode
from tests.support.rtsp import rtsp_camera
from tests.support.until import until


def _camera(url):
    camera = make_camera(CameraSettings(name="street", kind="rtsp", url=url), "320685")
    camera.start()
    return camera


def _now():
    return time.monotonic(), datetime.now(UTC)


async def test_pictures_are_passed_through_and_start_at_a_key_frame_with_parameter_sets():
    async with rtsp_camera("320685") as server:
        camera = _camera(server.url)
        reader = camera.feed.subscribe()
        units = [await reader.next() for _ in range(25)]
        await camera.stop()
    assert {7, 8, 5} <= {nal_type(nal) for nal in nal_units(units[0].data)}
    assert all(0 < later.pts - earlier.pts < 45_000 for earlier, later in pairwise(units))
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    grey = frames[-1].to_ndarray(format="gray")
    mark = decode(640, 360, lambda x, y: float(grey[y, x]))
    assert mark is not None
    assert mark.code == "320685"
    assert mark.age_ms(int(time.time() * 1000)) < 5000


async def test_a_live_picture_is_judged_by_packets_and_proved_by_decoding():
    async with rtsp_camera("320685") as server:
        camera = _camera(server.url)
        await until(lambda: camera.health(*_now()).verdict is Verdict.LIVE)
        assert camera.health(*_now()).fault is None
        async with asyncio.timeout(40):  # a busy machine decodes too few pictures in one look: unproven, nothing else
            while (health := await camera.prove(datetime.now(UTC))).verdict is Verdict.UNPROVEN:
                await asyncio.sleep(0.1)
        assert health.verdict is Verdict.LIVE
        assert health.frame_age_ms < 3000
        await camera.stop()


async def test_a_camera_that_goes_away_is_named_and_comes_back():
    async with rtsp_camera("320685") as server:
        port = server.port
        camera = _camera(server.url)
        await until(lambda: camera.feed.group)
    await until(lambda: camera.health(*_now()).verdict is Verdict.NO_PICTURE)
    assert camera.health(*_now()).fault in {"source_lost", "unreachable"}
    last = camera.feed.group[-1].pts
    async with rtsp_camera("320685", port):
        await until(lambda: camera.feed.group and camera.feed.group[-1].pts > last, 40)
        assert camera.trouble is None
        await camera.stop()


async def test_a_sub_stream_is_the_thumb_and_a_dead_one_is_named():
    async with rtsp_camera("320685") as server:
        async with rtsp_camera("320682") as small:
            settings = CameraSettings(name="street", kind="rtsp", url=server.url, thumb_url=small.url)
            camera = make_camera(settings, "320685")
            camera.start()
            reader = camera.thumb.subscribe()
            units = [await reader.next() for _ in range(5)]
            reader.close()
            decoder = av.CodecContext.create("h264", "r")
            frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
            grey = frames[-1].to_ndarray(format="gray")
            assert decode(640, 360, lambda x, y: float(grey[y, x])).code == "320682"
            await until(lambda: camera.health(*_now()).fault is None)
            assert camera.encoded() == {}
        await until(lambda: camera.health(*_now()).fault == "thumb_lost")
        assert camera.health(*_now()).verdict in {Verdict.LIVE, Verdict.UNPROVEN}
        await camera.stop()
