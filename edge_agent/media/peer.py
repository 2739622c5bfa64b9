"""What publisher and listener share: a peer connection that asks nobody outside, and an offer that all servers take."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from protocols.errors import BadMediaError, LinkError

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

    from protocols.aio.whip import WhipClient

logger = logging.getLogger(__name__)
CONNECT_S = 8.0


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


async def connect(peer: "RTCPeerConnection", client: "WhipClient") -> None:
    """Offer, take the answer, wait until connected. Raises LinkError, RefusedError, BadMediaError."""
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
    answer = await client.offer(_plain(peer.localDescription.sdp))
    await _take(peer, answer.sdp)
    try:
        async with asyncio.timeout(CONNECT_S):
            await connected.wait()
    except TimeoutError:
        raise LinkError(f"no media path to {client.url} within {CONNECT_S:.0f} s: is its UDP port reachable?") from None
    if ended.is_set():
        raise LinkError(f"the media path to {client.url} failed while it was made")


async def _take(peer: "RTCPeerConnection", sdp: str) -> None:
    from aiortc import RTCSessionDescription

    try:
        await peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
    except Exception as error:  # aiortc raises assorted kinds on SDP that it cannot use
        raise BadMediaError(f"the gateway's answer cannot be used: {type(error).__name__}: {error}") from error


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
    await client.aclose()
    await peer.close()
