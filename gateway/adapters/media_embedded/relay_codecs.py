"""Which codec a picture comes in, and who cannot take it.

A far end that takes only one codec, as Janus does, must be offered that one first. Whoever did not offer what the
picture comes in is told so, and not left before a dark screen: nothing is transcoded.
"""

from gateway.adapters.media_embedded.negotiation import Known
from gateway.ports.media import EngineStats, SessionKind
from protocols.errors import CodecError

_JUDGED = frozenset({SessionKind.RELAY, SessionKind.WHEP})
"""One stream each, for its whole life; a wall's slots say for themselves why they show nothing."""


def codec_of(stats: EngineStats, stream: str) -> str | None:
    """Return what a stream's picture is coded in, in small letters; None where it is not known yet."""
    codec = next((one.codec for one in stats.streams if one.stream == stream), None)
    return None if codec is None else codec.partition("/")[0].lower()


def misfits(known: Known, codec: str | None) -> bool:
    """Tell whether it is a relay or a viewer that stands and cannot carry this codec, though it carries another one."""
    return known.kind in _JUDGED and known.up.is_set() and _lacks(known, codec)


def check(known: Known, codec: str | None) -> None:
    """Raise CodecError where a relay or a viewer is about to begin that would be sent nothing."""
    if known.kind in _JUDGED and _lacks(known, codec):
        agreed = ", ".join(sorted(known.pictures))
        raise CodecError(
            f"{known.stream} comes as {codec}, agreed is {agreed}: offer {codec} too, or have it sent as H.264"
        )


def _lacks(known: Known, codec: str | None) -> bool:
    return codec is not None and bool(known.pictures) and codec not in known.pictures
