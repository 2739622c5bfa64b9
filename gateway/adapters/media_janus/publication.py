"""One publisher at Janus and its way into our worker: the task that owns both.

The publisher's connection is Janus'. When it is up, Janus sends the tracks to our worker as plain RTP, each with an
SSRC and a payload type of our choosing, and hears wishes for key frames there.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.negotiation import Feed, ssrcs, warm_up
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_janus import offers
from gateway.adapters.media_janus.connection import Standing
from gateway.adapters.media_janus.videoroom import VideoRoom
from gateway.ports.media import EndReason
from protocols.errors import LinkError, NotFoundError

CONNECT_S = 30.0
LOOK_EVERY_S, SILENT_S = 1.0, 30.0
"""As long as consent lasts (RFC 7675), a publisher without packets is taken for one that is still there."""
FEED_BITS = 53
"""Feeds are numbers that JSON keeps whole."""


@dataclass(slots=True)
class Publication:
    """Made by `publish`; `run` returns why it ended."""

    feed: Feed
    at: Standing
    handle: VideoRoom
    number: int
    answer: str
    tracks: tuple[Track, ...]
    etag: str
    user: str
    """The publisher's ice-ufrag: a PATCH that names another one wants an ICE restart."""
    fed: bool = False
    silent_since: float | None = None
    """When its packets stopped: Debian's Janus notes the end of a publisher that says nothing no sooner than we do."""

    @classmethod
    async def publish(cls, feed: Feed, offer: str, at: Standing) -> "Publication":
        """Let Janus answer an offer. Raises BadMediaError, LinkError."""
        await warm_up()
        offered = offers.tracks_of(offer)
        handle = await VideoRoom.attach(at.session)
        number = secrets.randbits(FEED_BITS - 1) + 1
        try:
            answer = await handle.publish(at.room, number, offers.told(offer, offered), display=feed.stream)
            tracks = offers.agreed(answer, offered, ssrcs())
        except BaseException:
            with contextlib.suppress(LinkError):
                await handle.handle.detach()
            raise
        return cls(feed, at, handle, number, answer, tracks, secrets.token_hex(8), offers.user_of(offer))

    async def run(self, worker: EmbeddedMediaEngine) -> EndReason:
        """Feed the worker while the publisher is there. Raises LinkError where Janus is gone."""
        try:
            async with asyncio.timeout(CONNECT_S):
                while (event := await self.handle.handle.events.get()).name != "webrtcup":
                    if event.name in {"hangup", "detached"}:
                        return EndReason.ICE
        except TimeoutError:
            return EndReason.ICE
        self.fed = True
        await worker.hear(self.feed, self._agree)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    if (await self.handle.handle.events.get()).name in {"hangup", "detached"}:
                        return EndReason.CLOSED
            if self.silent_since is not None and moment.now() - self.silent_since > SILENT_S:
                return EndReason.CONSENT_LOST

    async def _agree(self, port: int) -> tuple[Address, tuple[Track, ...]]:
        heard_at = 0
        for track in self.tracks:
            (number,) = track.codecs
            forwards = await self.handle.forward(
                self.at.room, self.number, self.feed.host, port,
                mid=track.mid, ssrc=track.announced[0], payload_type=number,
            )  # fmt: skip
            if track.kind == "video":
                heard_at = next((one.rtcp_port for one in forwards if one.rtcp_port), 0)
        return (self.at.host, heard_at), self.tracks

    async def close(self) -> None:
        """End the publisher's connection at Janus; a Janus that is gone has ended it."""
        with contextlib.suppress(LinkError, NotFoundError):
            await self.handle.handle.detach()
