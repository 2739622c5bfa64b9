"""Offers and answers (RFC 8829, RFC 9725 section 4.4): one BUNDLE, rtcp-mux, sha-256 only, every candidate at once.

**Every failure is BadMediaError** with a sentence that says what to offer. A viewer is given all forwardable codecs
that it offered, so that the source may come later and may change.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.adapters.media_embedded.rules.candidates import listed
from gateway.adapters.media_embedded.rules.description import SENDING, Agreement, Local, Track
from gateway.adapters.media_embedded.rules.level import LEVEL_URI
from gateway.adapters.media_embedded.rules.transport_feedback import URI as TRANSPORT_URI
from gateway.adapters.media_embedded.sdp_reading import MID_URI, codecs_of, number_of, read, remote_of
from gateway.ports.media import SessionKind
from protocols.errors import BadMediaError

if TYPE_CHECKING:
    from aiortc.rtcrtpparameters import RTCRtpCodecParameters
    from aiortc.sdp import MediaDescription, SessionDescription

KINDS = ("video", "audio")
FEEDBACK = (("nack", None), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", None), ("transport-cc", None))
OFFERED_PROFILES = {96: "42e01f", 97: "42001f", 98: "4d001f", 99: "64001f"}
OFFERED_VP8, OFFERED_OPUS, OFFERED_RTX = 100, 111, 101
PASSED_ON = {120: ("VP9", {"profile-id": "0"}), 121: ("AV1", {"profile": "0"}), 122: ("H265", {"profile-id": "1"})}
"""What is passed on where both ends have it, offered last.

Payload types of our own offers; RTX has one for each picture codec, from 101 on."""
OFFERED_MID, OFFERED_TRANSPORT, OFFERED_LEVEL = 1, 3, 10
"""Ids of header extensions in our own offers: one number means one thing in the whole BUNDLE."""
CNAME = "silian"
WALL_SLOTS = {"video": 25, "audio": 8}
"""More m-lines than these of a wall's offer are rejected."""
_PUBLISHED: dict[str, tuple[str, ...]] = {"video": ("main", "thumb"), "audio": ("audio",)}
_VIEWED: dict[str, tuple[str, ...]] = {"video": ("video/0",), "audio": ("audio/0",)}
_HUNG = {kind: tuple(f"{kind}/{index}" for index in range(slots)) for kind, slots in WALL_SLOTS.items()}
_NAMES = {
    SessionKind.WHIP: _PUBLISHED,
    SessionKind.WHEP: _VIEWED,
    SessionKind.WALL: _HUNG,
    SessionKind.BRIDGED: _PUBLISHED,
}
_WHOLE = (("main", "video"), ("thumb", "video"), ("audio", "audio"))
_OFFERED = {
    SessionKind.RELAY: _WHOLE,
    SessionKind.BRIDGE: _WHOLE,
    SessionKind.PULL: (("main", "video"), ("audio", "audio")),
}


def answer(text: str, local: Local, kind: SessionKind, ssrcs: Iterator[int]) -> Agreement:
    """Answer a publisher, a viewer or a wall; `ssrcs` are ours, one is taken per track. Raises BadMediaError.

    M-lines beyond what the session may have (a second picture of a viewer, a third of a publisher) are rejected.
    """
    offer = read(text)
    sending = kind in SENDING
    free = {media: list(names) for media, names in _NAMES[kind].items()}
    agreed: list[tuple[MediaDescription, list[RTCRtpCodecParameters], Track] | None] = []
    for section in offer.media:
        choice = _choose(section, sending=sending) if free.get(section.kind) else None
        if choice is not None:
            track = replace(choice[2], name=free[section.kind].pop(0), ssrc=next(ssrcs) if sending else 0)
            if track.sends_repairs:
                track = replace(track, repair_ssrc=repair_ssrc(track.ssrc))
            choice = (choice[0], choice[1], track)
        agreed.append(choice)
    accepted = [choice for choice in agreed if choice is not None]
    if not accepted:
        wanted = "receive" if sending else "send"
        raise BadMediaError(
            f"offer to {wanted} video (H.264 packetization-mode 1, VP8, VP9 or AV1 profile 0, H.265 main) or Opus"
        )
    tracks = tuple(choice[2] for choice in accepted)
    _check_bundle(offer, [track.mid for track in tracks])
    _check_numbers(tracks)
    remote = remote_of([choice[0] for choice in accepted])
    if remote.setup == "passive":
        raise BadMediaError("offer setup:actpass or setup:active")
    sections = [
        _rejected(section) if choice is None else _section(choice[1], choice[2], local, kind)
        for section, choice in zip(offer.media, agreed, strict=True)
    ]
    return Agreement(_document(sections, [t.mid for t in tracks if t.mid]), remote, tracks)


def _choose(
    section: "MediaDescription", *, sending: bool
) -> "tuple[MediaDescription, list[RTCRtpCodecParameters], Track] | None":
    """Return section, codecs and track if it can be used, else None (it is then rejected with port 0)."""
    if section.kind not in KINDS or (section.port == 0 and section.rtp.muxId == ""):
        return None
    if (section.direction or "sendrecv") not in {"sendrecv", "recvonly" if sending else "sendonly"}:
        return None
    kept, track = codecs_of(section)
    if sending:
        track = _turned(track)
    return (section, kept, track) if track.codecs else None


def _turned(track: Track) -> Track:
    """Return the track as its sender sees it: the RTX types are what we repeat with."""
    return replace(track, repairs={}, sends_repairs={media: own for own, media in track.repairs.items()})


def repair_ssrc(ssrc: int) -> int:
    """Return the SSRC of our RTX beside a random one of ours."""
    return (ssrc + 1) & 0xFFFFFFFF or 1


def _check_bundle(offer: "SessionDescription", mids: list[str]) -> None:
    if len(mids) < 2:
        return
    bundled = {str(item) for group in offer.group if group.semantic == "BUNDLE" for item in group.items}
    if not bundled.issuperset(mids):
        raise BadMediaError("all m-lines must stand in one BUNDLE group")


def _check_numbers(tracks: tuple[Track, ...]) -> None:
    """Check that a payload type means the same wherever it stands in the BUNDLE (RFC 9143 section 9.1)."""
    meanings: dict[int, tuple[str, object]] = {}
    for track in tracks:
        repairing = {number: media for media, number in track.sends_repairs.items()} | track.repairs
        for number, meaning in (*track.codecs.items(), *repairing.items()):
            if meanings.setdefault(number, (track.kind, meaning)) != (track.kind, meaning):
                raise BadMediaError("a payload type must mean one thing in the whole BUNDLE")
    mids = [track.mid for track in tracks]
    if len(mids) != len(set(mids)) or len({t.mid_extension for t in tracks if t.mid_extension}) > 1:
        raise BadMediaError("every m-line needs a mid of its own, and the mid extension one id")


def _blank(kind: str, fmt: list[int] | list[str], port: int, profile: str = "UDP/TLS/RTP/SAVPF") -> "MediaDescription":
    from aiortc.rtcicetransport import RTCIceParameters
    from aiortc.sdp import MediaDescription

    media = MediaDescription(kind, port, profile, list(fmt))
    media.host = "0.0.0.0"  # noqa: S104  # the SDP placeholder of RFC 8839, nothing is bound
    media.ice = RTCIceParameters()
    return media


def _rejected(section: "MediaDescription") -> "MediaDescription":
    media = _blank(section.kind, section.fmt, 0, section.profile)
    media.rtp.muxId = section.rtp.muxId
    media.direction = "inactive" if section.kind in KINDS else None
    return media


def _section(
    codecs: "list[RTCRtpCodecParameters]", track: Track, local: Local, kind: SessionKind
) -> "MediaDescription":
    """Build the answer's m-line."""
    from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters

    media = _blank(track.kind, [number_of(codec) for codec in codecs], 9)
    for codec in codecs:
        wanted = {(feedback.type, feedback.parameter or None) for feedback in codec.rtcpFeedback}
        codec.rtcpFeedback = [
            RTCRtcpFeedback(kind, parameter)
            for kind, parameter in FEEDBACK
            if (kind, parameter) in wanted and (kind != "transport-cc" or track.transport_extension)
        ]
    media.rtp.codecs = codecs
    loudness = (track.level_extension, LEVEL_URI)
    extensions = ((track.mid_extension, MID_URI), (track.transport_extension, TRANSPORT_URI), loudness)
    media.rtp.headerExtensions = [RTCRtpHeaderExtensionParameters(id=n, uri=uri) for n, uri in extensions if n]
    _transport(media, track.mid, local, lite=True, setup="server")
    media.direction = "sendonly" if kind in SENDING else "recvonly"
    if kind in SENDING:
        _name_source(media, track.name, track.ssrc, track.repair_ssrc, alone=kind is SessionKind.WALL)
    return media


def _name_source(media: "MediaDescription", name: str, ssrc: int, repairing: int, *, alone: bool) -> None:
    """Name what we send, RTX too unless `repairing` is 0.

    Slots stand `alone`: browsers keep the tracks of one media stream in step.
    """
    from aiortc.sdp import GroupDescription, SsrcDescription

    place = name.replace("/", "-")
    media.msid = f"{place if alone else CNAME} {place}"
    own = [ssrc, repairing] if repairing else [ssrc]
    media.ssrc = [SsrcDescription(ssrc=one, cname=CNAME, msid=media.msid) for one in own]
    if repairing:
        media.ssrc_group = [GroupDescription("FID", [*own])]


def _transport(media: "MediaDescription", mid: str, local: Local, *, lite: bool, setup: str) -> None:
    from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
    from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters

    media.rtp.muxId = mid
    media.rtcp_port, media.rtcp_host, media.rtcp_mux = 9, "0.0.0.0", True  # noqa: S104  # as above
    media.ice = RTCIceParameters(
        usernameFragment=local.credentials.ufrag, password=local.credentials.password, iceLite=lite
    )
    media.ice_candidates = [
        RTCIceCandidate(
            component=1, foundation=one.foundation, ip=one.ip, port=one.port, priority=one.priority,
            protocol=one.protocol, type="host", tcpType="passive" if one.protocol == "tcp" else None,
        )
        for one in listed(local.candidates)
    ]  # fmt: skip
    media.ice_candidates_complete = True
    media.dtls = RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint("sha-256", local.fingerprint)], role=setup)


def _document(sections: "list[MediaDescription]", mids: list[str]) -> str:
    from aiortc.sdp import GroupDescription, SessionDescription

    document = SessionDescription()
    document.origin = "- 1 1 IN IP4 127.0.0.1"
    if mids:
        document.group = [GroupDescription("BUNDLE", list(mids))]
    document.msid_semantic = [GroupDescription("WMS", ["*"])]
    document.media = sections
    return str(document)


def offer(
    local: Local, kind: SessionKind, ssrcs: Iterator[int], first: str | None = None
) -> tuple[str, dict[str, int]]:
    """Offer to relay or bridge (both layers and sound) or to pull; returns our SSRCs by track too.

    `first` names the codec of the picture as it comes: a far end that takes one codec alone takes the first.
    """
    from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters

    sections, taken = [], {}
    for mid, (name, media_kind) in enumerate(_OFFERED[kind]):
        codecs = _offered(media_kind)
        codecs.sort(key=lambda codec: (codec.name == "rtx", codec.name.lower() != first))
        media = _blank(media_kind, [number_of(codec) for codec in codecs], 9)
        media.rtp.codecs = codecs
        media.rtp.headerExtensions = [RTCRtpHeaderExtensionParameters(id=OFFERED_MID, uri=MID_URI)]
        if media_kind == "audio":
            media.rtp.headerExtensions.append(RTCRtpHeaderExtensionParameters(id=OFFERED_LEVEL, uri=LEVEL_URI))
        told = RTCRtpHeaderExtensionParameters(id=OFFERED_TRANSPORT, uri=TRANSPORT_URI)
        media.rtp.headerExtensions.append(told)
        _transport(media, str(mid), local, lite=False, setup="auto")
        media.direction = "sendonly" if kind in SENDING else "recvonly"
        if kind in SENDING:
            taken[name] = next(ssrcs)
            repairing = repair_ssrc(taken[name]) if media_kind == "video" else 0
            _name_source(media, name, taken[name], repairing, alone=False)
        sections.append(media)
    return _document(sections, [str(mid) for mid in range(len(sections))]), taken


def _offered(kind: str) -> "list[RTCRtpCodecParameters]":
    from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters

    if kind == "audio":
        return [RTCRtpCodecParameters("audio/opus", 48000, 2, OFFERED_OPUS, [RTCRtcpFeedback("transport-cc")])]
    feedback = [RTCRtcpFeedback(name, parameter) for name, parameter in FEEDBACK]
    codecs = [
        RTCRtpCodecParameters(
            "video/H264", 90000, None, number, feedback,
            {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": profile},
        )
        for number, profile in OFFERED_PROFILES.items()
    ]  # fmt: skip
    codecs.append(RTCRtpCodecParameters("video/VP8", 90000, None, OFFERED_VP8, feedback))
    codecs += [
        RTCRtpCodecParameters(f"video/{name}", 90000, None, number, feedback, dict(parameters))
        for number, (name, parameters) in PASSED_ON.items()
    ]
    repairs = [
        RTCRtpCodecParameters("video/rtx", 90000, None, OFFERED_RTX + place, [], {"apt": number_of(codec)})
        for place, codec in enumerate(codecs)
    ]
    return [*codecs, *repairs]


def accept(text: str, kind: SessionKind, ssrcs: dict[str, int]) -> Agreement:
    """Take the answer to our own offer, `ssrcs` as `offer` gave them; raises BadMediaError."""
    description = read(text)
    offered = _OFFERED[kind]
    if len(description.media) > len(offered):
        raise BadMediaError("the answer has more m-lines than the offer")
    sections, tracks = [], []
    for section, (name, media_kind) in zip(description.media, offered, strict=False):
        if section.kind != media_kind:
            raise BadMediaError("the answer's m-lines do not follow the offer")
        if section.port == 0 or section.direction == "inactive":
            continue
        _, track = codecs_of(section)
        if not track.codecs:
            continue
        sections.append(section)
        if kind in SENDING:
            track = replace(_turned(track), ssrc=ssrcs[name], repair_ssrc=repair_ssrc(ssrcs[name]))
        tracks.append(replace(track, name=name))
    if not sections:
        raise BadMediaError("the answer accepts neither video nor audio")
    return Agreement("", remote_of(sections), tuple(tracks))
