"""Files: passed through where a viewer can follow, coded again where not, looped with rising time stamps."""

import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from edge_agent.cameras import make_camera
from edge_agent.cameras.compressed import CompressedCamera
from edge_agent.cameras.file import why_encode
from edge_agent.cameras.raw import RawCamera
from edge_agent.settings import CameraSettings
from protocols.aio.testcard import TestCard
from protocols.health import Verdict
from protocols.testmark import decode
from tests.support.until import until

START = datetime(2026, 1, 1, tzinfo=UTC)


def film(path, *, codec="libx264", seconds=2, b_frames=0, keys=15, still=False):
    card = TestCard("320682", "如皋市")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.time_base = Fraction(1, 15)
        if codec == "libx264":
            stream.options = {"x264-params": f"bframes={b_frames}:keyint={keys}:scenecut=0:b-adapt=0"}
        for number in range(15 * seconds):
            moment = START if still else START + timedelta(seconds=number / 15)
            frame = av.VideoFrame.from_ndarray(card.draw(moment), format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def open_camera(path, **more):
    camera = make_camera(CameraSettings(name="film", kind="file", path=path, label="录像演示", **more), "320682")
    camera.start()
    return camera


def now():
    return time.monotonic(), datetime.now(UTC)


def test_the_way_of_a_file_is_chosen_by_its_packets(tmp_path):
    assert why_encode(film(tmp_path / "good.mp4")) is None
    assert why_encode(film(tmp_path / "b.mp4", b_frames=2)) == "b_frames"
    assert why_encode(film(tmp_path / "apart.mp4", seconds=6, keys=90)) == "key_frames_apart"
    assert why_encode(film(tmp_path / "old.avi", codec="mpeg4")) == "codec"
    assert why_encode(tmp_path / "none.mp4") == "unreadable"


@pytest.mark.parametrize("b_frames", [0, 2])
async def test_a_film_is_looped_in_its_own_time_and_can_be_decoded(tmp_path, b_frames):
    camera = open_camera(film(tmp_path / "f.mp4", seconds=1, b_frames=b_frames))
    assert isinstance(camera, RawCamera if b_frames else CompressedCamera)
    reader, began = camera.feed.subscribe(), time.monotonic()
    units = [await reader.next() for _ in range(40)]
    lasted = time.monotonic() - began
    await camera.stop()
    assert units[0].key
    assert all(later.pts > earlier.pts for earlier, later in pairwise(units))
    assert lasted > 1.5
    assert (units[-1].pts - units[0].pts) / 90_000 == pytest.approx(lasted, abs=1.0)
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    assert len(frames) >= 38
    grey = frames[-1].to_ndarray(format="gray")
    assert decode(640, 360, lambda x, y: float(grey[y, x])).code == "320682"


async def test_a_moving_film_is_live_and_a_still_one_is_not(tmp_path):
    moving = open_camera(film(tmp_path / "m.mp4"))
    await until(lambda: moving.health(*now()).verdict is Verdict.LIVE)
    assert (await moving.prove(datetime.now(UTC))).verdict is Verdict.LIVE
    await moving.stop()
    still = open_camera(film(tmp_path / "s.mp4", still=True))
    await until(lambda: still.feed.group)
    for _ in range(3):
        await still.tick(time.monotonic())
    assert still.watch.decoded >= 1
    assert (await still.prove(datetime.now(UTC))).verdict in {Verdict.UNPROVEN, Verdict.FROZEN}
    await still.stop()


async def test_a_missing_file_is_a_named_fault(tmp_path):
    camera = open_camera(tmp_path / "none.mp4")
    await until(lambda: camera.health(*now()).fault == "unreadable")
    assert camera.health(*now()).verdict is Verdict.NO_PICTURE
    await camera.stop()
