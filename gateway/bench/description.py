"""The few lines of SDP that the bench's peers speak: video lines, GCM, every candidate at once."""

import re
from dataclasses import dataclass

from aiortc.sdp import MediaDescription

from gateway.adapters.media_embedded.rules.description import Local, Remote
from gateway.adapters.media_embedded.rules.ice import HOST_PRIORITY
from gateway.adapters.media_embedded.rules.transport_feedback import URI as TRANSPORT_URI
from gateway.adapters.media_embedded.sdp_reading import MID_URI, read, remote_of
from protocols.errors import BadMediaError

PAYLOAD, REPAIR = 96, 97
MID_ID, TRANSPORT_ID = 1, 3
H264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")


@dataclass(frozen=True, slots=True)
class Agreed:
    """What one video line was agreed to be; extension ids are 0 where not agreed."""

    remote: Remote
    payload_type: int
    repair_type: int
    mid: str
    mid_id: int
    transport_id: int


def offer(local: Local, codec: str, *, sends: int = 0, slots: int = 1) -> str:
    """Offer one video line, or those of a wall; `sends` is the SSRC of a publisher, 0 receives."""
    mids = [str(slot) for slot in range(slots)]
    lines = [_lines(codec, PAYLOAD, REPAIR, mid, MID_ID, TRANSPORT_ID) for mid in mids]
    return _text(local, lines, mids, "sendonly" if sends else "recvonly", "actpass", sends)


def answer(local: Local, text: str, codec: str) -> tuple[str, Agreed]:
    """Answer an offer to receive video, line by line; returns what the first line agreed on too.

    Raises BadMediaError where there is no video, or the codec is not in a line.
    """
    every = [_agreed(section, codec) for section in read(text).media if section.kind == "video" and section.port]
    if not every:
        raise BadMediaError("the other end sends no video")
    lines = [_lines(codec, a.payload_type, a.repair_type, a.mid, a.mid_id, a.transport_id) for a in every]
    return _text(local, lines, [a.mid for a in every], "recvonly", "active", 0), every[0]


def accepted(text: str, codec: str) -> Agreed:
    """Read the other end's description; raises BadMediaError."""
    document = read(text)
    video = next((section for section in document.media if section.kind == "video" and section.port), None)
    if video is None:
        raise BadMediaError("the other end takes no video")
    return _agreed(video, codec)


def _agreed(video: MediaDescription, codec: str) -> Agreed:
    number = next((c.payloadType for c in video.rtp.codecs if c.mimeType.lower() == f"video/{codec.lower()}"), None)
    if number is None:
        raise BadMediaError(f"the other end has no {codec}")
    repair = next((c.payloadType for c in video.rtp.codecs if c.parameters.get("apt") == number), 0)
    ids = {extension.uri: extension.id for extension in video.rtp.headerExtensions}
    return Agreed(
        remote_of([video]), number, repair or 0, video.rtp.muxId, ids.get(MID_URI, 0), ids.get(TRANSPORT_URI, 0)
    )


def _lines(codec: str, number: int, repair: int, mid: str, mid_id: int, transport_id: int) -> list[str]:
    numbers = f"{number} {repair}" if repair else f"{number}"
    lines = [f"m=video 9 UDP/TLS/RTP/SAVPF {numbers}", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", "a=rtcp-mux"]
    lines += [f"a=mid:{mid}"] if mid else []
    lines += [f"a=extmap:{n} {uri}" for n, uri in ((mid_id, MID_URI), (transport_id, TRANSPORT_URI)) if n]
    lines += [f"a=rtpmap:{number} {codec}/90000", *(f"a=rtcp-fb:{number} {name}" for name in FEEDBACK)]
    lines += [f"a=fmtp:{number} {H264}"] if codec == "H264" else []
    return lines + ([f"a=rtpmap:{repair} rtx/90000", f"a=fmtp:{repair} apt={number}"] if repair else [])


def _text(local: Local, sections: list[list[str]], mids: list[str], direction: str, setup: str, ssrc: int) -> str:
    group = f"a=group:BUNDLE {' '.join(mids)}"
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", group, "a=msid-semantic: WMS *"]
    body = [line for section in sections for line in (*section, *_transport(local, direction, setup, ssrc))]
    return "\r\n".join([*head, *body]) + "\r\n"


def _transport(local: Local, direction: str, setup: str, ssrc: int) -> list[str]:
    lines = [f"a={direction}"]
    lines += [f"a=ice-ufrag:{local.credentials.ufrag}", f"a=ice-pwd:{local.credentials.password}"]
    lines += [f"a=fingerprint:sha-256 {local.fingerprint}", f"a=setup:{setup}"]
    if ssrc:
        lines += ["a=msid:bench bench", f"a=ssrc:{ssrc} cname:bench", f"a=ssrc:{ssrc} msid:bench bench"]
    for ip, port in local.candidates:
        lines.append(f"a=candidate:1 1 udp {HOST_PRIORITY} {ip} {port} typ host")
    return [*lines, "a=end-of-candidates"]


def without_other_codecs(text: str) -> int:
    """Count the m-lines of an offer: a subscriber of one feed is offered one."""
    return len(re.findall(r"^m=", text, re.MULTILINE))
