"""Access units of every codec that is forwarded: put together from RTP payloads, and what a decoder or file must know.

Codecs are named as in `ingest.Codec`, without a profile. An access unit is Annex B (H.264, H.265), a frame (VP8), a
picture with all its layers (VP9), or the OBUs of a temporal unit, each with its size (AV1).
"""

from collections.abc import Callable
from typing import NamedTuple

from gateway.adapters.media_embedded.rules import av1, h264, h265, picture_size, vp8, vp9
from gateway.adapters.media_embedded.rules.malformed import MalformedError


class _Form(NamedTuple):
    """What is known of one codec."""

    join: Callable[[list[bytes]], bytes]
    is_key: Callable[[bytes], bool]
    parameters: Callable[[bytes], bytes]
    size: Callable[[bytes], tuple[int, int]]
    heads: frozenset[int]
    types: Callable[[bytes], list[int]]


def joined(codec: str, payloads: list[bytes]) -> bytes:
    """Return the access unit of these payloads; raises MalformedError, also for a codec that is not known."""
    form = _FORMS.get(codec)
    if form is None:
        raise MalformedError("a codec that is only passed on")
    return form.join(payloads)


def opens(codec: str, payload: bytes) -> bool:
    """Tell whether a payload with a part of a key frame is its first part for sure."""
    form = _FORMS.get(codec)
    return form is None or not form.heads or not form.heads.isdisjoint(form.types(payload))


def is_key(codec: str, unit: bytes) -> bool:
    """Tell whether decoding can begin at an access unit whose packets look so; raises MalformedError."""
    return _FORMS[codec].is_key(unit)


def parameters(codec: str, unit: bytes) -> bytes:
    """Return what all key frames of one file must agree in: codec and parameter sets; empty where they are missing."""
    form = _FORMS.get(codec)
    return b"" if form is None else form.parameters(unit)


def size(codec: str, key: bytes) -> tuple[int, int]:
    """Return width and height of a key frame; raises MalformedError."""
    return _FORMS[codec].size(key)


def _always(_: bytes) -> bool:
    return True


def _none(_: bytes) -> list[int]:
    return []


def _first(found: list[bytes]) -> bytes:
    if not found:
        raise MalformedError("a key frame without its parameter sets")
    return found[0]


def _h264_size(data: bytes) -> tuple[int, int]:
    return picture_size.of_h264(_first([unit for unit in h264.units(data) if unit[0] & 31 == h264.SPS]))


def _h265_size(data: bytes) -> tuple[int, int]:
    return picture_size.of_h265(_first([unit for unit in h265.units(data) if h265.unit_type(unit) == h265.SPS]))


_FORMS = {
    "h264": _Form(h264.annex_b, _always, h264.parameter_sets, _h264_size, frozenset({h264.SPS}), h264.nal_types),
    "h265": _Form(
        h265.annex_b, h265.is_key, h265.parameter_sets, _h265_size, frozenset({h265.VPS, h265.SPS}), h265.nal_types
    ),
    "vp8": _Form(vp8.frame, _always, lambda _: b"vp8", picture_size.of_vp8, frozenset(), _none),
    "vp9": _Form(vp9.picture, vp9.is_key, lambda _: b"vp9", picture_size.of_vp9, frozenset(), _none),
    "av1": _Form(av1.temporal_unit, av1.is_key, av1.sequence_header, picture_size.of_av1, frozenset(), _none),
}
