"""Reading SDP text on aiortc's parser: it raises BadMediaError and nothing else."""

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gateway.adapters.media_embedded.rules.description import Remote, Track
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Codec
from gateway.adapters.media_embedded.rules.level import LEVEL_URI
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.rules.transport_feedback import URI as TRANSPORT_URI
from protocols.errors import BadMediaError, UnreadableMediaError

if TYPE_CHECKING:
    from aiortc.rtcrtpparameters import RTCRtpCodecParameters
    from aiortc.sdp import MediaDescription, SessionDescription

MAX_SDP = 256 * 1024
"""A browser's offer for a wall has 6 kB per slot."""
MAX_SECTIONS = 40
MAX_CANDIDATES = 8
MAX_SSRCS = 16
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}")
_PROFILE = re.compile(r"[0-9a-fA-F]{6}")
_PLAIN = {
    "video/vp9": ("vp9", "profile-id", "0"),
    "video/av1": ("av1", "profile", "0"),
    "video/h265": ("h265", "profile-id", "1"),
}
"""Codecs forwarded where both ends have them, each in the one profile that everybody means: name, parameter, value."""
_LAST = frozenset({name for name, _, _ in _PLAIN.values()})
_MID = re.compile(r"[\x21-\x7e]{1,16}")


def read(text: str) -> "SessionDescription":
    """Parse SDP; raises BadMediaError on anything that is not usable SDP."""
    from aiortc.sdp import SessionDescription

    if len(text) > MAX_SDP:
        raise BadMediaError(f"the SDP is longer than {MAX_SDP} characters")
    try:
        description = SessionDescription.parse(text)
    except Exception as error:  # the library asserts, indexes, converts: all of it means bad text
        raise UnreadableMediaError(f"the SDP does not parse: {type(error).__name__}") from error
    if not description.media or len(description.media) > MAX_SECTIONS:
        raise BadMediaError(f"the SDP must have 1 to {MAX_SECTIONS} m-lines")
    return description


def remote_of(sections: "list[MediaDescription]") -> Remote:
    """Read transport facts of the accepted sections, which share one transport; raises BadMediaError."""
    first = sections[0]
    if any(not section.rtcp_mux for section in sections):
        raise BadMediaError("rtcp-mux is needed on every m-line")
    if first.ice is None or first.dtls is None:
        raise BadMediaError("ICE credentials, fingerprint and setup are needed")
    ufrag, password = first.ice.usernameFragment or "", first.ice.password or ""
    if not _UFRAG.fullmatch(ufrag) or not _PASSWORD.fullmatch(password):
        raise BadMediaError("ice-ufrag or ice-pwd is missing or not as RFC 8839 wants it")
    prints = [f.value.upper() for f in first.dtls.fingerprints if f.algorithm.lower() == "sha-256"]
    if not prints or not _FINGERPRINT.fullmatch(prints[0]):
        raise BadMediaError("a sha-256 fingerprint is needed")
    setup = {"auto": "actpass", "client": "active", "server": "passive"}[first.dtls.role]
    return Remote(Credentials(ufrag, password), prints[0], setup, _candidates(sections))


def _candidates(sections: "list[MediaDescription]") -> tuple[Address, ...]:
    """Return UDP candidates with a literal address; names (mDNS) and TCP are passed over."""
    found: dict[Address, None] = {}
    for section in sections:
        for candidate in section.ice_candidates:
            try:
                ip_address(candidate.ip)
            except ValueError:
                continue
            if candidate.protocol.lower() == "udp" and candidate.component == 1 and 0 < candidate.port < 65536:
                found[candidate.ip, candidate.port] = None
    return tuple(found)[:MAX_CANDIDATES]


def codecs_of(section: "MediaDescription") -> "tuple[list[RTCRtpCodecParameters], Track]":
    """Pick what can be forwarded, with its RTX: H.264 (packetization-mode 1), VP8, Opus; after them VP9, AV1, H.265.

    The order is ours, because whoever publishes takes the first: every viewer has H.264 and VP8.
    """
    codecs: dict[int, Codec] = {}
    listed = [codec for codec in section.rtp.codecs if codec.payloadType in section.fmt]
    for codec in listed:
        known = _known(section.kind, codec)
        if known is not None:
            codecs[number_of(codec)] = known
    fixes: dict[int, int] = {}
    for codec in listed:
        repaired = codec.parameters.get("apt")
        if codec.mimeType.lower() == f"{section.kind}/rtx" and isinstance(repaired, int) and repaired in codecs:
            fixes[number_of(codec)] = repaired
    kept = [codec for codec in listed if number_of(codec) in codecs or number_of(codec) in fixes]
    kept.sort(key=lambda one: _rank(codecs[fixes.get(number_of(one), number_of(one))]))
    mid = section.rtp.muxId or ""
    if mid and not _MID.fullmatch(mid):
        raise BadMediaError("a mid must have 1 to 16 printable characters")
    extension = _extension(section, MID_URI)
    loudness = _extension(section, LEVEL_URI) if section.kind == "audio" else 0
    told = any(feedback.type == "transport-cc" for codec in kept for feedback in codec.rtcpFeedback)
    transport = _extension(section, TRANSPORT_URI) if told else 0
    media, fixing = _announced(section)
    track = Track(section.kind, mid, extension if mid else 0, codecs, fixes, 0, media, fixing)
    return kept, replace(track, level_extension=loudness, transport_extension=transport)


def _extension(section: "MediaDescription", uri: str) -> int:
    """Return the id of a header extension that fits the one-byte form, 0 where it is not offered."""
    return next((e.id for e in section.rtp.headerExtensions if e.uri == uri and 0 < e.id < 15), 0)


def _announced(section: "MediaDescription") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the SSRCs for media and those for RTX (RFC 5576, FID groups)."""
    named = [source.ssrc for source in section.ssrc if 0 < source.ssrc < 1 << 32][:MAX_SSRCS]
    pairs = [group.items for group in section.ssrc_group if group.semantic == "FID" and len(group.items) == 2]
    fixing = {pair[1] for pair in pairs}
    return tuple(s for s in named if s not in fixing), tuple(s for s in named if s in fixing)


def _rank(codec: Codec) -> bool:
    return codec.name in _LAST


def _known(kind: str, codec: "RTCRtpCodecParameters") -> Codec | None:
    name = codec.mimeType.lower()
    if kind == "audio":
        return Codec("opus", 48000) if name == "audio/opus" and codec.clockRate == 48000 else None
    if codec.clockRate != 90000:
        return None
    if name == "video/vp8":
        return Codec("vp8", 90000)
    if name == "video/h264" and str(codec.parameters.get("packetization-mode", "0")) == "1":
        profile = str(codec.parameters.get("profile-level-id", "42e01f"))
        return Codec(f"h264/{profile[:4].lower()}", 90000) if _PROFILE.fullmatch(profile) else None
    plain = _PLAIN.get(name)
    if plain is not None and str(codec.parameters.get(plain[1], plain[2])) == plain[2]:
        return Codec(plain[0], 90000)
    return None


def number_of(codec: "RTCRtpCodecParameters") -> int:
    """Return the payload type, which a parsed codec always has."""
    if codec.payloadType is None:
        raise AssertionError("a codec of an rtpmap line has a payload type")
    return codec.payloadType
