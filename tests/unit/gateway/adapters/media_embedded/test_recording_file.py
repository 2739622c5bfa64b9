"""Files of every codec: what is muxed comes back as it was; a file that is cut off plays up to its last fragment."""

import contextlib
import functools
import io
from pathlib import Path
from typing import NamedTuple

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.recorder import SOUND_WITHIN_S, Recording
from gateway.adapters.media_embedded.recording_file import Part, PartError
from gateway.adapters.media_embedded.rules.assembly import Assembler, Frame
from gateway.adapters.media_embedded.rules.key_frames import looked_for
from gateway.adapters.media_embedded.rules.tapping import VIDEO, Record
from tests.support import passed_on
from tests.support.peers import HEIGHT, WIDTH, MarkTrack, read_mark

RATE, COUNT = 15, 45
HEAD_OCTETS = 144
NAMES = list(passed_on.PACKERS)


class Written(NamedTuple):
    """A file: its bytes, and how many pictures were in it for sure when it had so many of them."""

    data: bytes
    grown: list[tuple[int, int]]
    frames: list[Frame]


@functools.cache
def frames(name: str) -> tuple[Frame, ...]:
    """Encode, pack for RTP and put together again."""
    track, assembler = MarkTrack("320623", name, rate=RATE, key_frame_s=0.5), Assembler(VIDEO)
    look, number, found = looked_for("video", name.lower()), 0, []
    for place in range(1, COUNT + 1):
        track.number = place
        for packet in track._encode():
            payloads = passed_on.PACKERS[name](packet)
            for payload in payloads:
                marks = payload is payloads[-1], look(payload), False, False
                told = 1, number, place * 6000, place / RATE, payload
                found += assembler.feed(Record(VIDEO, name.lower(), *marks, *told))
                number += 1
    assert len(found) == COUNT
    assert sum(frame.key for frame in found) >= 5
    return tuple(found)


def written(name: str, stem: Path) -> Written:
    all_of_them = frames(name)
    part = Part.begin(stem, all_of_them[0], audio=False)
    grown = []
    for place, frame in enumerate(all_of_them):
        before = part.octets
        part.add(frame, place / RATE)
        if part.octets > before:
            grown.append((part.octets, place))
    part.close()
    assert part.path.suffix == ".mp4"
    return Written(part.path.read_bytes(), grown, list(all_of_them))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_muxed_comes_back(name: str, tmp_path: Path) -> None:
    made = written(name, tmp_path / "one")
    with av.open(io.BytesIO(made.data)) as file:
        (stream,) = file.streams
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert stream.codec_context.extradata or name == "VP9"
        shown = list(file.decode(stream))
    assert len(shown) == COUNT
    assert all((mark := read_mark(frame)) is not None and mark.code == "320623" for frame in shown)
    times = [frame.time - shown[0].time for frame in shown]
    assert times == pytest.approx([place / RATE for place in range(COUNT)], abs=0.001)
    with av.open(io.BytesIO(made.data)) as file:
        keys = [packet.is_keyframe for packet in file.demux() if packet.size]
    assert keys == [frame.key for frame in made.frames]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_off_plays_up_to_its_last_fragment(name: str, tmp_path: Path) -> None:
    made = written(name, tmp_path / "one")
    places = [end for end in range(made.grown[0][0], len(made.data)) if not in_head(made, end)]

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(places))
    def cut(end: int) -> None:
        there = max(count for octets, count in made.grown if octets <= end)
        assert seen(made.data[:end]) >= there

    cut()


def in_head(made: Written, end: int) -> bool:
    """Tell whether a fragment's head (`moof`) ends too early here.

    FFmpeg opens no such file; the recorder writes none, since a fragment is written at once, its head before its body.
    """
    return any(octets < end < octets + HEAD_OCTETS for octets, _ in made.grown)


def seen(data: bytes) -> int:
    """Count the pictures that bear the mark."""
    found: list[av.VideoFrame] = []
    with av.open(io.BytesIO(data)) as file:
        decoder = file.streams.video[0].codec_context
        decoder.thread_count = 1
        with contextlib.suppress(av.error.InvalidDataError):  # the picture that is cut off
            for packet in file.demux(video=0):
                found += packet.decode()
        with contextlib.suppress(av.error.EOFError):
            found += decoder.decode(None)
    return sum(read_mark(frame) is not None for frame in found)


@pytest.mark.parametrize("name", NAMES)
def test_a_key_frame_without_its_head_opens_no_file(name: str, tmp_path: Path) -> None:
    other = next(frame for frame in frames(name) if not frame.key)
    with pytest.raises(PartError):
        Part.begin(tmp_path / "none", other, audio=False)
    assert not list(tmp_path.iterdir())


def test_a_key_frame_of_another_codec_stays_out_of_the_file(tmp_path: Path) -> None:
    """An IDR picture without its parameter sets could be of any file, but not of one with another codec."""
    recording = Recording("one", tmp_path / "one")
    vp9 = [VIDEO, "vp9", True, True, False, False, 1]
    for place, frame in enumerate(frames("VP9")[:1] * 3):
        payload = b"\x0c" + frame.data
        recording.records([Record(*vp9, place, place * 6000, place / RATE, payload)], place * SOUND_WITHIN_S)
    before = recording._part
    assert before is not None
    idr = Record(VIDEO, "h264", True, True, False, False, 2, 1, 1, 1.0, b"\x65idr")
    other = [idr._replace(number=0, payload=b"\x41delta", key=False), idr]
    recording.records(other, 3 * SOUND_WITHIN_S)
    assert recording._part is None
    recording.finish("closed")
    assert recording.files == ["one.mp4"]
    assert seen((tmp_path / "one.mp4").read_bytes()) == 3
