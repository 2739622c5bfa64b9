"""A still of what the centre sees: the newest coded picture of the very feed that is sent up, decoded here."""

import asyncio
import time
from typing import Any

from edge_agent.cameras.feed import Feed
from protocols.errors import NotFoundError

WITHIN_S = 3.0
FRESH_S = 2.5
"""A key frame costs the line as much as a dozen pictures: it is not asked for more often."""
WIDTH = 960


class Preview:
    """Stills of one feed as JPEG; askers at the same moment share one."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._one = asyncio.Lock()
        self._made_at = -FRESH_S
        self._jpeg = b""

    async def jpeg(self) -> bytes:
        """Return a picture that is at most `FRESH_S` old; raises NotFoundError where none comes in time."""
        async with self._one:
            if time.monotonic() - self._made_at >= FRESH_S:
                self._jpeg = await self._fresh()
                self._made_at = time.monotonic()
            return self._jpeg

    async def _fresh(self) -> bytes:
        subscription = self._feed.subscribe()
        try:
            async with asyncio.timeout(WITHIN_S):
                unit = await subscription.next()
        except TimeoutError:
            unit = None
        finally:
            subscription.close()
        jpeg = None if unit is None else await asyncio.to_thread(_decoded, unit.data)
        if jpeg is None:
            raise NotFoundError(f"camera {self._feed.name} gives no picture now")
        return jpeg


def _decoded(data: bytes) -> bytes | None:
    """Decode one key frame; None where it cannot be."""
    import av
    import cv2

    codec: Any = av.CodecContext.create("h264", "r")
    codec.thread_count = 1
    try:
        frames = codec.decode(av.Packet(data)) + codec.decode(None)
    except av.error.InvalidDataError:
        return None
    if not frames:
        return None
    picture = frames[0].to_ndarray(format="bgr24")
    if picture.shape[1] > WIDTH:
        picture = cv2.resize(picture, (WIDTH, picture.shape[0] * WIDTH // picture.shape[1]))
    good, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return jpeg.tobytes() if good else None
