"""Who cannot carry the picture's codec is told from who can, and from who waits; nobody is left without a word."""

import pytest

from gateway.adapters.media_embedded.negotiation import Known
from gateway.adapters.media_embedded.relay_codecs import check, misfits
from gateway.adapters.media_embedded.rules.description import Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.ports.media import SessionKind
from protocols.errors import CodecError


@pytest.mark.parametrize(
    ("kind", "up", "pictures", "codec", "wanted"),
    [
        (SessionKind.RELAY, True, {"h264"}, "vp8", True),
        (SessionKind.RELAY, True, {"h264", "vp8"}, "vp8", False),
        (SessionKind.RELAY, True, {"h264"}, None, False),
        (SessionKind.RELAY, True, set(), "vp8", False),  # sound alone
        (SessionKind.RELAY, False, {"h264"}, "vp8", False),
        (SessionKind.WHEP, True, {"h264"}, "h265", True),
        (SessionKind.WHEP, False, {"h264"}, "h265", False),
        (SessionKind.WALL, True, {"h264"}, "h265", False),  # its slot says so
        (SessionKind.BRIDGE, True, {"h264"}, "vp8", False),
    ],
)
def test_only_a_relay_or_a_viewer_that_stands_can_misfit(
    kind: SessionKind, up: bool, pictures: set[str], codec: str | None, wanted: bool
) -> None:
    known = Known("s", kind, "320623/room", "1", Local(Credentials("u", "p"), "", ()))
    known.pictures = frozenset(pictures)
    if up:
        known.up.set()
    assert misfits(known, codec) is wanted


@pytest.mark.parametrize("kind", [SessionKind.RELAY, SessionKind.WHEP])
def test_who_would_be_sent_nothing_is_refused_by_name(kind: SessionKind) -> None:
    known = Known("s", kind, "320623/room", "1", Local(Credentials("u", "p"), "", ()))
    known.pictures = frozenset({"vp8", "h264"})
    with pytest.raises(CodecError, match="320623/room comes as av1, agreed is h264, vp8"):
        check(known, "av1")
    for codec in ("vp8", None):
        check(known, codec)
    known.pictures = frozenset()
    check(known, "av1")  # sound alone


@pytest.mark.parametrize("kind", [SessionKind.WALL, SessionKind.WHIP, SessionKind.PULL])
def test_others_are_not_refused(kind: SessionKind) -> None:
    known = Known("s", kind, "320623/room", "1", Local(Credentials("u", "p"), "", ()))
    known.pictures = frozenset({"vp8"})
    check(known, "av1")
