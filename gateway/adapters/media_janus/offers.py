"""What Janus must be told of an offer, and what its answer means: SDP text to SDP text, and to tracks of our worker.

Debian's Janus takes one fingerprint and no loopback address, and would choose a codec by a list of its own. So it is
given the sha-256 fingerprint, and of each track that is forwarded the one codec that the publisher likes best.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address

from gateway.adapters.media_embedded import sdp
from gateway.adapters.media_embedded.rules.description import Local, Track
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.sdp_reading import codecs_of, read
from gateway.ports.media import SessionKind
from protocols.errors import BadMediaError

FORWARDED = ("main", "audio")
"""Tracks of a publisher that go on. A second picture is agreed too, for whoever offers it, but nobody asks for it."""
FIRST_TYPE = 96
"""Payload types of plain RTP are ours: one number for each track from here on."""
_NOBODY = Local(Credentials("none", "none" * 6), ":".join(["00"] * 32), ())
_NUMBERED = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)\b")
_DIRECTION = re.compile(r"a=(?:sendrecv|sendonly|recvonly|inactive)$")


def tracks_of(offer: str) -> tuple[Track, ...]:
    """Read which tracks of a publisher's offer can be taken. Raises BadMediaError."""
    return sdp.answer(offer, _NOBODY, SessionKind.WHIP, iter(())).tracks


def told(offer: str, tracks: Sequence[Track]) -> str:
    """Return the offer as Janus gets it."""
    sections = re.split(r"\r?\n(?=m=)", offer.strip())
    by_mid = {track.mid: track for track in tracks}
    lines = _common(sections[0])
    for section in sections[1:]:
        own = [line.strip() for line in section.splitlines() if _passes(line.strip())]
        mid = next((line.removeprefix("a=mid:") for line in own if line.startswith("a=mid:")), "")
        track = by_mid.get(mid)
        lines += _silent(own) if track is None else _one_codec(own, track)
    return "\r\n".join(lines) + "\r\n"


def _common(head: str) -> list[str]:
    return [line.strip() for line in head.splitlines() if _passes(line.strip())]


def _passes(line: str) -> bool:
    if line.startswith("a=fingerprint:"):
        return line.lower().startswith("a=fingerprint:sha-256 ")
    return bool(line) and not (line.startswith("a=candidate:") and on_loopback(line))


def on_loopback(candidate: str) -> bool:
    """Tell whether a candidate line names a loopback address; a name is none."""
    words = candidate.split()
    try:
        return ip_address(words[4]).is_loopback
    except (IndexError, ValueError):
        return False


def _silent(lines: list[str]) -> list[str]:
    return [line for line in lines if not _DIRECTION.match(line)] + ["a=inactive"]


def _one_codec(lines: list[str], track: Track) -> list[str]:
    media = next(iter(track.codecs))
    kept = [media, *(own for own, repaired in track.repairs.items() if repaired == media)]
    words = lines[0].split()
    first = " ".join([*words[:3], *(str(number) for number in kept)])
    return [first, *(line for line in lines[1:] if _speaks_of(line, kept))]


def _speaks_of(line: str, kept: list[int]) -> bool:
    found = _NUMBERED.match(line)
    return found is None or int(found.group(1)) in kept


def agreed(answer: str, offered: Sequence[Track], ssrcs: Iterator[int]) -> tuple[Track, ...]:
    """Return the tracks as they will come by plain RTP, after Janus' answer. Raises BadMediaError for none."""
    found: list[Track] = []
    names = {track.mid: track.name for track in offered if track.name in FORWARDED}
    for section in read(answer).media:
        name = names.get(section.rtp.muxId or "")
        if name is None or section.port == 0 or section.direction == "inactive":
            continue
        _, track = codecs_of(section)
        codec = next(iter(track.codecs.values()), None)
        if codec is not None:
            plain = Track(track.kind, track.mid, 0, {FIRST_TYPE + len(found): codec}, {}, 0, (next(ssrcs),), name=name)
            found.append(replace(plain, level_extension=track.level_extension))
    if not found:
        raise BadMediaError("Janus took neither picture nor sound of the offer")
    return tuple(found)


def candidates(fragment: str) -> list[dict[str, object]]:
    """Read what a PATCH trickles as Janus wants it, loopback left out; the end of candidates is `completed`."""
    found: list[dict[str, object]] = []
    mid = ""
    for line in (one.strip() for one in fragment.splitlines()):
        if line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:")
        elif line.startswith("a=candidate:") and not on_loopback(line):
            found.append({"candidate": line.removeprefix("a="), "sdpMid": mid, "sdpMLineIndex": 0})
        elif line == "a=end-of-candidates":
            found.append({"completed": True})
    return found


def user_of(text: str) -> str:
    """Return the first ice-ufrag of an offer or a fragment; empty where there is none."""
    found = re.search(r"^a=ice-ufrag:(\S+)", text, re.MULTILINE)
    return found.group(1) if found else ""
