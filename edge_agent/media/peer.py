"""What publisher and listener share: a peer connection that asks nobody outside, and an offer that all servers take."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from protocols.errors import BadMediaError, LinkError

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from aiortc.sdp import MediaDescription

    from protocols.aio.whip import WhipClient

logger = logging.getLogger(__name__)
CONNECT_S = 6.0


def new_peer() -> "RTCPeerConnection":
    """Return a peer connection without any STUN or TURN server (aiortc's default is a public one)."""
    from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection

    from edge_agent.media import aiortc_private

    aiortc_private.install()
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def prefer(transceiver: Any, kind: str, *mimes: str) -> None:
    """Offer only the codecs named, in that order, with their retransmission payloads."""
    from aiortc import RTCRtpSender

    codecs = RTCRtpSender.getCapabilities(kind).codecs
    wanted = [codec for mime in mimes for codec in codecs if codec.mimeType.lower() == mime.lower()]
    transceiver.setCodecPreferences(wanted + [codec for codec in codecs if codec.mimeType.lower() == "video/rtx"])


async def connect(peer: "RTCPeerConnection", client: "WhipClient") -> frozenset[int]:
    """Offer, take the answer, wait until connected; returns the places of the m-lines that the far end rejected.

    Raises LinkError, RefusedError, BadMediaError.
    """
    from edge_agent.media import aiortc_private

    connected, ended = asyncio.Event(), asyncio.Event()

    @peer.on("connectionstatechange")
    def changed() -> None:
        if peer.connectionState == "connected":
            connected.set()
        elif peer.connectionState in ("failed", "closed"):
            ended.set()
            connected.set()

    with aiortc_private.addresses_for(client.url):
        await peer.setLocalDescription(await peer.createOffer())
    offer = _plain(peer.localDescription.sdp)
    answer = await client.offer(offer)
    rejected = await _take(peer, offer, answer.sdp)
    try:
        async with asyncio.timeout(CONNECT_S):
            await connected.wait()
    except TimeoutError:
        raise LinkError(f"no media path to {client.url} within {CONNECT_S:.0f} s: is its UDP port reachable?") from None
    if ended.is_set():
        raise LinkError(f"the media path to {client.url} failed while it was made")
    return rejected


async def _take(peer: "RTCPeerConnection", offer: str, answer: str) -> frozenset[int]:
    from aiortc import RTCSessionDescription

    try:
        whole, rejected = without_rejections(offer, answer)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=whole, type="answer"))
    except BadMediaError:
        raise
    except Exception as error:  # aiortc raises assorted kinds on SDP that it cannot use
        raise BadMediaError(f"the gateway's answer cannot be used: {type(error).__name__}: {error}") from error
    return rejected


def without_rejections(offer: str, answer: str) -> tuple[str, frozenset[int]]:
    """Return the answer with rejected m-lines (port 0, RFC 8829 section 5.3.1) as inactive ones, and their places.

    aiortc knows no rejected m-line: one makes it refuse the whole answer. Inactive ones inside the BUNDLE cost nothing.
    """
    from aiortc.sdp import GroupDescription, SessionDescription

    ours, theirs = SessionDescription.parse(offer), SessionDescription.parse(answer)
    if len(ours.media) != len(theirs.media):
        raise BadMediaError(f"the answer has {len(theirs.media)} m-lines, the offer {len(ours.media)}")
    rejected = frozenset(place for place, media in enumerate(theirs.media) if media.port == 0)
    if not rejected:
        return answer, rejected
    taken = [media for media in theirs.media if media.port]
    if not taken:
        raise BadMediaError("the answer accepts neither video nor audio")
    for place in rejected:
        theirs.media[place] = _inactive(ours.media[place], taken[0])
    mids = [media.rtp.muxId for media in taken] + [ours.media[place].rtp.muxId for place in sorted(rejected)]
    theirs.group = [group for group in theirs.group if group.semantic != "BUNDLE"]
    theirs.group.append(GroupDescription("BUNDLE", list(mids)))
    return str(theirs), rejected


def _inactive(offered: "MediaDescription", taken: "MediaDescription") -> "MediaDescription":
    """Turn our own m-line into an answer to it that carries nothing, over the transport of one that was taken."""
    offered.port, offered.direction = 9, "inactive"
    offered.ice, offered.dtls = taken.ice, taken.dtls
    offered.ice_candidates, offered.ice_options = [], None
    offered.msid, offered.ssrc, offered.ssrc_group = None, [], []
    return offered


def _plain(sdp: str) -> str:
    """Keep the sha-256 fingerprint alone: some servers refuse an offer that lists others beside it."""
    lines = (
        line for line in sdp.splitlines() if not line.startswith(("a=fingerprint:sha-384", "a=fingerprint:sha-512"))
    )
    return "\r\n".join(lines) + "\r\n"


async def part(peer: "RTCPeerConnection", client: "WhipClient") -> None:
    """End a session on both sides; what is already gone is fine."""
    try:
        async with asyncio.timeout(2.0):
            await client.delete()
    except (LinkError, TimeoutError) as error:
        logger.info("session not deleted", extra={"url": client.url, "reason": str(error)})
    finally:
        await client.aclose()
        await peer.close()
