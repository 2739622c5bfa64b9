"""The agent against the real media engine: first picture, forwarded tone and mark, pass-through, key frames."""

import time
from datetime import timedelta

import pytest

from edge_agent.cameras import make_camera
from edge_agent.media.echo import echo
from edge_agent.media.listener import Listener
from edge_agent.media.publisher import Publisher, Source
from edge_agent.media.sound import SoundSource
from edge_agent.settings import CameraSettings
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.ports.media import Layer, StreamState
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from protocols.aio.testcard import tone_hz
from protocols.command import CallRing, MediaEcho, MediaPublish
from tests.support.engine_http import EngineHttp
from tests.support.rtsp import rtsp_camera
from tests.support.until import until


@pytest.fixture
async def http(tmp_path):
    async with EmbeddedMediaEngine(state_dir=tmp_path / "engine") as engine, EngineHttp(engine) as made:
        yield made


async def _publish(http, tasks, settings, *, code="320623", sound=True):
    camera = make_camera(settings, code)
    camera.start()
    tone = SoundSource("tone", tone_hz(code))
    tone.start()
    stream = f"{code}/{settings.name}"
    source = Source(camera.feed, tone.feed if sound else None, camera.thumb, camera.bounds(), camera.steer)
    publisher = Publisher({stream: source}, SystemClock(), tasks)
    until_ = SystemClock().now() + timedelta(seconds=60)
    publisher.publish(MediaPublish(stream=stream, whip_url=http.url(stream), token="t", until=until_))

    async def close():
        await publisher.unpublish(stream)
        tone.stop()
        await camera.stop()

    return publisher, close


def _viewer(http, stream):
    ring = CallRing(
        call_id="01JD8Z5W3K4M5N6P7Q8R9S0T1V",
        centre=stream[:6],
        camera="room",
        caller="x",
        caller_centre=stream[:6],
        caller_stream=stream,
        whep_url=http.url(stream, "whep"),
        token="t",
    )
    return Listener(ring, "null", SystemClock())


async def _state(http, stream):
    found = [one for one in (await http.engine.stats()).streams if one.stream == stream]
    return found[0] if found else None


async def test_a_viewer_behind_the_engine_sees_the_mark_and_hears_the_tone(http):
    async with Supervisor("test") as tasks:
        publisher, close = await _publish(http, tasks, CameraSettings(name="room", kind="testcard"))
        viewer = _viewer(http, "320623/room")
        tasks.start("viewer", viewer.run, restart=False)
        await until(lambda: ((viewer.report()["picture"] or {}).get("mark") or {}).get("code") == "320623")
        await until(lambda: viewer.report()["peak_hz"] == pytest.approx(tone_hz("320623"), abs=6))
        stats = await _state(http, "320623/room")
        assert stats.state is StreamState.LIVE
        assert stats.audio
        assert publisher.names() == ("room",)
        await tasks.cancel("viewer")
        await close()
        assert publisher.counters["sessions"] == 1


async def test_layers_reach_the_engine_as_they_are_named_and_a_viewer_keeps_seeing(http):
    async with Supervisor("test") as tasks:
        publisher, close = await _publish(http, tasks, CameraSettings(name="room", kind="testcard"))
        order = publisher._running["320623/room"]._order
        viewer = _viewer(http, "320623/room")
        tasks.start("viewer", viewer.run, restart=False)

        def seen(width):
            picture = viewer.report()["picture"] or {}
            return picture.get("width") == width and (picture.get("mark") or {}).get("code") == "320623"

        await until(lambda: seen(640))
        publisher.publish(order.model_copy(update={"layers": ("thumb",)}))
        await until(lambda: seen(320))
        publisher.publish(order.model_copy(update={"layers": ("main", "thumb")}))
        await until(lambda: seen(640))
        stats = await _state(http, "320623/room")
        assert stats.layers == (Layer.MAIN, Layer.THUMB)
        _, session = next(publisher.sessions())
        await until(lambda: session.round_trip_s is not None)
        assert stats.audio_level == pytest.approx(10 ** (-18 / 20), rel=0.2)
        assert viewer.report()["sessions"] == publisher.counters["sessions"] == 1
        await tasks.cancel("viewer")
        await close()


async def test_the_engine_reports_so_that_a_living_session_is_not_taken_for_dead(http):
    async with Supervisor("test") as tasks:
        publisher, close = await _publish(http, tasks, CameraSettings(name="room", kind="testcard"), sound=False)
        await until(publisher.names)
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > 9)
        assert publisher.counters == {"sessions": 1}
        await close()


async def test_a_camera_that_stops_is_no_dead_gateway(http):
    """Viewers stay on their session and see the picture come back in it."""
    async with Supervisor("test") as tasks:
        camera = make_camera(CameraSettings(name="room", kind="testcard"), "320623")
        camera.start()
        publisher = Publisher({"320623/room": Source(camera.feed)}, SystemClock(), tasks)
        until_ = SystemClock().now() + timedelta(seconds=60)
        publisher.publish(MediaPublish(stream="320623/room", whip_url=http.url("320623/room"), token="t", until=until_))
        await until(publisher.names)
        await camera.stop()
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > 7)
        assert publisher.counters == {"sessions": 1}
        await publisher.unpublish("320623/room")


async def test_an_rtsp_camera_is_seen_through_agent_and_engine(http):
    async with Supervisor("test") as tasks, rtsp_camera("320685") as camera:
        settings = CameraSettings(name="street", kind="rtsp", url=camera.url)
        _, close = await _publish(http, tasks, settings, code="320685", sound=False)
        viewer = _viewer(http, "320685/street")
        tasks.start("viewer", viewer.run, restart=False)
        await until(lambda: ((viewer.report()["picture"] or {}).get("mark") or {}).get("code") == "320685")
        assert viewer.report()["picture"]["mark"]["age_ms"] < 5000
        await tasks.cancel("viewer")
        await close()


async def test_an_own_picture_that_comes_back_proves_both_directions(http, monkeypatch):
    async with Supervisor("test") as tasks:
        _, close = await _publish(http, tasks, CameraSettings(name="room", kind="testcard"), sound=False)
        asked = MediaEcho(stream="320623/room", whep_url=http.url("320623/room", "whep"), token="t", seconds=0.5)
        found = await echo(asked, SystemClock())
        assert found.packets > 0
        assert found.loss < 0.5
        assert found.first_ms is not None
        await close()
    monkeypatch.setattr("edge_agent.media.echo.FIRST_S", 0.5)
    asked = MediaEcho(stream="320612/room", whep_url=http.url("320612/room", "whep"), token="t")
    assert (await echo(asked, SystemClock())).packets == 0, "a session without packets proves nothing"
