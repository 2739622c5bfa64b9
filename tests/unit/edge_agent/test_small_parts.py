"""Logs, systemd, rehearsed faults, sound."""

import io
import json
import logging
import socket
from itertools import islice

import numpy as np
import pytest

from edge_agent.cameras import make_camera
from edge_agent.faults import FaultSwitch
from edge_agent.logs import start_logging
from edge_agent.media.sound import CHUNK, tone_chunks, wav_chunks
from edge_agent.media.speaker import Meter, Speaker, WavOutput
from edge_agent.nearest import nearest_key
from edge_agent.settings import CameraSettings
from protocols.aio.notify import notify, watchdog_s


@pytest.fixture
def log():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_line_has_fields_and_no_secret(log):
    start_logging(stream=log)
    logging.getLogger("t").info(
        "link up", extra={"node": "320623-box", "token": "abc", "url": "rtsp://user:pw@10.1.1.1/1", "why": "a b"}
    )
    line = log.getvalue()
    assert 't link up node=320623-box token=*** url=rtsp://***@10.1.1.1/1 why="a b"' in line
    assert "pw" not in line
    assert "abc" not in line


def test_json_is_one_object_a_line(log):
    start_logging(stream=log, as_json=True)
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("t").exception("failed", extra={"code": 3})
    found = json.loads(log.getvalue())
    assert (found["message"], found["code"], found["level"]) == ("failed", 3, "error")
    assert "ValueError" in found["exception"]


def test_systemd_is_told(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")
        assert server.recv(100) == b"READY=1"
    notify("gone, and that is fine")
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    assert watchdog_s() == 10.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() is None
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("nobody asked")


async def test_rehearsed_faults_are_switched_by_a_file(tmp_path, caplog):
    camera = make_camera(CameraSettings(name="room", kind="testcard", fault="black"), "320623")
    passed = make_camera(CameraSettings(name="street", kind="rtsp", url="rtsp://127.0.0.1:9/x"), "320623")
    switch = FaultSwitch(tmp_path, {"320623/room": camera, "320623/street": passed})
    switch.look()
    assert camera.fault == "black"
    file = tmp_path / "faults.toml"
    file.write_text('[cameras]\nroom = "frozen"\nstreet = "black"\nnobody = "frozen"\n')
    switch.look()
    assert (camera.fault, passed.fault) == ("frozen", "")
    assert "unknown" in caplog.text
    assert "cannot rehearse" in caplog.text
    for broken in ("not toml at all [", "cameras = 3\n"):
        file.write_text(broken)
        switch.look()
        assert camera.fault == "frozen"
    file.write_text('[cameras]\nroom = ""\n')
    switch.look()
    assert camera.fault == ""
    file.unlink()
    switch.look()
    assert camera.fault == "black"


def test_tones_run_on_without_a_step_and_are_measured():
    meter = Meter()
    chunks = list(islice(tone_chunks(960), 120))
    whole = np.concatenate(chunks)
    assert np.abs(np.diff(whole.astype(int))).max() < 6000 * 2 * np.pi * 960 / 48000 * 1.05
    for chunk in chunks:
        meter.hear(chunk)
    assert meter.peak_hz == pytest.approx(960, abs=5)
    assert meter.level == pytest.approx(6000 / 32768 / np.sqrt(2), rel=0.01)
    for chunk in islice(tone_chunks(0), 20):
        meter.hear(chunk)
    assert (meter.peak_hz, meter.level) == (0.0, 0.0)


def test_a_wav_file_is_written_and_looped(tmp_path):
    path = tmp_path / "a.wav"
    with Speaker(f"file:{path}") as speaker:
        for chunk in islice(tone_chunks(500), 3):
            speaker.play(chunk)
    found = list(islice(wav_chunks(path), 7))
    assert all(len(chunk) == CHUNK for chunk in found)
    assert (found[0] == found[3]).all()
    with pytest.raises(OSError, match="No such"):
        WavOutput(tmp_path / "no" / "x.wav")


def test_a_sound_output_that_cannot_be_opened_is_told_and_the_call_goes_on(tmp_path, caplog):
    with Speaker(f"file:{tmp_path}/no/x.wav") as speaker:
        speaker.play(next(tone_chunks(500)))
    assert "sound output failed" in caplog.text


def test_the_nearest_key():
    assert nearest_key("gatway", ["state", "gateway"]) == "gateway"
    assert nearest_key("", ["state"]) == "state"
