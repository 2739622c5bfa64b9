from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ingest import Codec


def codec(name):
    return Codec(name, 90000)


def test_a_general_name_stands_for_its_first_profile():
    track = Track("video", "0", 0, {102: codec("h264/42e01f"), 104: codec("h264/640c1f"), 96: codec("vp8")}, {}, 1)
    types = track.payload_types()
    assert types["h264"] == 102
    assert types["h264/640c1f"] == 104
    assert types["vp8"] == 96
