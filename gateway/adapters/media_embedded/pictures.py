"""Stills of an engine: each key frame is decoded once for each width that is asked for, however many ask.

The worker is asked first how old its newest key frame is, which costs no more than a short message; its bytes are
fetched and decoded only where nobody has done so yet.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from gateway.adapters.media_embedded import moment, stills
from gateway.adapters.media_embedded.stills import Stills
from gateway.adapters.media_embedded.wire import Picture, Reply
from gateway.ports.media import Still
from protocols.errors import BadMediaError, NotFoundError
from protocols.picture import PictureFigures

KEPT = 128
"""Decoded pictures that are kept, of all streams and widths."""
ANSWER_S = 5.0
"""The worker has this long beyond the time for waiting."""

Ask = Callable[[Picture, float], Awaitable[tuple[Reply, bytes]]]
Key = tuple[str, int]


class Pictures:
    """`ask(request, within_s)` speaks with the worker that has the stream."""

    def __init__(self, decoder: Stills, ask: Ask) -> None:
        self.decoded = 0
        self._decoder, self._ask = decoder, ask
        self._kept: OrderedDict[Key, tuple[float, stills.Picture]] = OrderedDict()
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def still(self, stream: str, newer_than: float | None, timeout_s: float, width: int) -> Still:
        """See `MediaEngine.still`; `width` 0 is the camera's own."""
        told, _ = await self._ask(Picture(stream, newer_than, timeout_s, bare=True), timeout_s + ANSWER_S)
        if not told.ok:
            raise NotFoundError(f"no picture of {stream} within {timeout_s:g} s")
        key = (stream, width)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            found = self._kept.get(key)
            if found is None or found[0] != told.arrived_at:
                found = await self._decode(key, newer_than, told.arrived_at)
        return _still(stream, *found, told.arrived_at)

    async def _decode(self, key: Key, newer_than: float | None, arrived_at: float) -> tuple[float, stills.Picture]:
        found = self._kept.get(key)
        if found is not None and found[0] > arrived_at:
            return found  # somebody who waited for the lock before had a newer one already
        stream, width = key
        arrived_at = 0.0

        async def newest() -> tuple[str, bytes]:
            """Fetch when the decoder is free: what was fetched before others had their turn would be old."""
            nonlocal arrived_at
            reply, unit = await self._ask(Picture(stream, newer_than, 0.0), ANSWER_S)
            if not reply.ok:
                raise NotFoundError(f"no picture of {stream}: its source went away")
            arrived_at = reply.arrived_at
            return reply.codec, unit

        try:
            picture = await self._decoder.decode(newest, width)
        except BadMediaError as error:
            raise NotFoundError(f"no picture of {stream}: {error}") from error
        self.decoded += 1
        self._kept[key] = arrived_at, picture
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return arrived_at, picture


def _still(stream: str, arrived_at: float, picture: stills.Picture, there_at: float) -> Still:
    look = picture.look
    return Still(
        stream=stream,
        jpeg=picture.jpeg,
        width=look.width,
        height=look.height,
        frame_age_ms=max(0, round((moment.now() - arrived_at) * 1000)),
        arrived_at=arrived_at,
        mean=look.mean,
        deviation=look.deviation,
        thumb=bytes.fromhex(look.thumb),
        figures=figures_told(look.figures),
        there_at=there_at,
    )


def figures_told(told: dict[str, Any]) -> PictureFigures:
    """Return the figures as the decoder tells them (see `decoder.Look`)."""
    mark = told["mark"]
    return PictureFigures(
        **told | {"grain": base64.b64decode(told["grain"]), "mark": None if mark is None else (mark[0], mark[1])}
    )
