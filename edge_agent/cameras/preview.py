"""A still of what the centre sees: the newest coded picture of the very feed that is sent up, decoded here."""

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_agent.cameras.feed import Feed
from protocols.aio.h264 import Unit
from protocols.errors import NotFoundError
from protocols.snapshot import MOST_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[Any]

WITHIN_S = 3.0
FRESH_S = 2.5
"""A key frame costs the line as much as a dozen pictures: it is not asked for more often."""
FORMS = ((960, 80), (960, 60), (960, 40), (640, 50), (480, 40), (320, 30))
"""Width and quality, best first: the first one that fits into `MOST_BYTES` is taken."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as JPEG of at most `MOST_BYTES`; `arrived` is when the camera gave it, in monotonic seconds."""

    jpeg: bytes
    arrived: float


class Preview:
    """Stills of one feed as JPEG; askers at the same moment share one."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._one = asyncio.Lock()
        self._made_at = -FRESH_S
        self._shot = Shot(b"", 0.0)

    async def jpeg(self) -> bytes:
        """Return a picture that is at most `FRESH_S` old; raises NotFoundError where none comes in time."""
        return (await self.shot()).jpeg

    async def shot(self) -> Shot:
        """Return the same with its time: a camera that stopped may leave an older picture than `FRESH_S`."""
        async with self._one:
            if time.monotonic() - self._made_at >= FRESH_S:
                self._shot = await self._fresh()
                self._made_at = time.monotonic()
            return self._shot

    async def _fresh(self) -> Shot:
        subscription = self._feed.subscribe()
        try:
            async with asyncio.timeout(WITHIN_S):
                unit = await subscription.next()
        except TimeoutError:
            unit = None
        finally:
            subscription.close()
        shot = None if unit is None else await asyncio.to_thread(_decoded, unit)
        if shot is None:
            raise NotFoundError(f"camera {self._feed.name} gives no picture now")
        return shot


def _decoded(unit: Unit) -> Shot | None:
    """Decode one key frame; None where it cannot be."""
    import av

    codec: Any = av.CodecContext.create("h264", "r")
    codec.thread_count = 1
    try:
        frames = codec.decode(av.Packet(unit.data)) + codec.decode(None)
    except av.error.InvalidDataError:
        return None
    if not frames:
        return None
    jpeg = fitting(frames[0].to_ndarray(format="bgr24"))
    return None if jpeg is None else Shot(jpeg, unit.arrived)


def fitting(picture: "Picture", most: int = MOST_BYTES) -> bytes | None:
    """Return a BGR picture as a JPEG of at most `most` bytes, as large and good as that allows; None if none fits."""
    import cv2

    height, width = picture.shape[:2]
    for wide, quality in FORMS:
        small = picture if width <= wide else cv2.resize(picture, (wide, height * wide // width))
        good, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if good and jpeg.size <= most:
            return bytes(jpeg.tobytes())
    return None
