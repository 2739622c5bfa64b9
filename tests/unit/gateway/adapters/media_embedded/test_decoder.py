"""One key frame to a picture."""

import io

import av
import pytest

from gateway.adapters.media_embedded import decoder
from tests.support.peers import HEIGHT, WIDTH, MarkTrack, read_mark


def unit(codec: str) -> bytes:
    track = MarkTrack("320623", codec)
    track.number = 1
    (packet,) = track._encode() or track._encode()
    return bytes(packet)


@pytest.mark.parametrize(("codec", "name"), [(name, name.lower()) for name in ("H264", "VP8", "VP9", "AV1", "H265")])
def test_a_key_frame_becomes_a_jpeg_with_its_figures(codec: str, name: str) -> None:
    look, jpeg = decoder.decode(name, unit(codec))
    assert (look.width, look.height, len(bytes.fromhex(look.thumb))) == (WIDTH, HEIGHT, 32 * 18)
    assert 60 < look.mean < 140
    mark = read_mark(next(av.open(io.BytesIO(jpeg)).decode(video=0)))
    assert mark is not None
    assert mark.code == "320623"


def test_the_loop_answers_good_and_bad_and_ends_with_its_input() -> None:
    good = unit("VP8")
    requests = b"".join(decoder.HEAD.pack(name, len(data), 0) + data for name, data in [
        (b"vp8 ", b"rubbish"), (b"none", b""), (b"h264", b"\0" * 50), (b"vp8 ", good),
    ])  # fmt: skip
    sink = io.BytesIO()
    decoder.serve(io.BytesIO(requests), sink)
    answers, at = [], 0
    data = sink.getvalue()
    while at < len(data):
        status, text, jpeg = decoder.HEAD.unpack_from(data, at)
        answers.append(status)
        at += decoder.HEAD.size + text + jpeg
    assert answers == [decoder.FAILED] * 3 + [decoder.OK]
