"""Where a key frame starts, for every codec that is forwarded; whoever only forwards needs to know no more of it."""

from collections.abc import Callable

from gateway.adapters.media_embedded.rules import h264, h265, vp8

_H265_STARTS = frozenset({*range(16, 22), 32, 33})
"""Pictures that can be joined at (IRAP), and the parameter sets that stand before them."""


def looked_for(kind: str, codec: str) -> Callable[[bytes], bool]:
    """Return what tells whether an RTP payload begins a key frame: it takes any bytes and never raises.

    `kind` is video or audio, `codec` is named as in `ingest.Codec`.
    """
    return _LOOKS.get(codec.partition("/")[0], _never) if kind == "video" else _never


def _never(_: bytes) -> bool:
    return False


def _av1(payload: bytes) -> bool:
    """Tell it by the aggregation header: a new coded video sequence, and not an OBU that goes on."""
    return len(payload) > 1 and payload[0] & 0x88 == 0x08


def _vp9(payload: bytes) -> bool:
    """RFC 9628 section 4.2: not predicted from another frame, its beginning, of the base layer."""
    if len(payload) < 2 or payload[0] & 0x48 != 0x08:
        return False
    at = 1
    if payload[0] & 0x80:
        at += 2 if payload[1] & 0x80 else 1
    if not payload[0] & 0x20:
        return True
    return at < len(payload) and payload[at] & 0x0E == 0


def _h265(payload: bytes) -> bool:
    """RFC 7798 section 4.4: single units, aggregates, the first fragment of a unit."""
    return not _H265_STARTS.isdisjoint(h265.nal_types(payload))


_LOOKS: dict[str, Callable[[bytes], bool]] = {
    "h264": h264.starts_key_frame,
    "vp8": vp8.starts_key_frame,
    "vp9": _vp9,
    "av1": _av1,
    "h265": _h265,
}
