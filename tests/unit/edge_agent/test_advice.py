"""Every fault that a camera can name has its text, and the stream's faults name the setting to change."""

import re
from pathlib import Path

import edge_agent.cameras
from edge_agent.cameras import make_camera
from edge_agent.cameras.advice import ADVICE, advice
from edge_agent.settings import CameraSettings
from protocols.aio.h264 import Unit


def test_every_named_fault_has_its_text():
    text = "".join(path.read_text("utf-8") for path in Path(edge_agent.cameras.__file__).parent.glob("*.py"))
    named = set(re.findall(r'CameraError\("([a-z_0-9]+)"', text)) | {"b_frames", "key_frames_apart", "no_packets"}
    assert named <= set(ADVICE)
    assert advice("unheard_of") == "unheard_of"
    assert advice(None) == ""


async def test_b_frames_are_told_once_with_the_setting_to_change(caplog):
    camera = make_camera(CameraSettings(name="street", kind="rtsp", url="rtsp://127.0.0.1:9/x"), "320623")
    camera.trouble = None
    for number, pts in enumerate((0, 3, 1, 2, 6, 4, 5)):
        camera.watch.look(Unit(b"x" * 500, number == 0, pts * 6000, number / 15))
    for _ in range(3):
        await camera.tick(0.5)
    told = [record for record in caplog.records if record.message == "camera stream"]
    assert len(told) == 1
    assert "关闭 B 帧" in told[0].advice
