"""The load of scenarios in which pictures are decoded: joins, walls, lossy lines, cuts. A process like `load`."""

import argparse
import asyncio
import contextlib
import time
from datetime import UTC, datetime

from typing_extensions import override

from gateway.adapters.media_embedded import identity
from gateway.bench.child import Answer, serve
from gateway.bench.impair import BadLine, Impairment
from gateway.bench.load import Load
from gateway.bench.peer import Shop
from gateway.bench.watcher import Watcher
from protocols.aio.whip import WhepClient
from protocols.errors import LinkError

TICK_S = 0.02
REJOIN_S = 2.0
"""A viewer whose picture has not come back in this time makes a new session, and again after as long."""
GIVE_UP_S = 30.0


class Seat:
    """A watcher, and the bad line that it sits behind, if any."""

    def __init__(self, url: str, watcher: Watcher, line: BadLine | None) -> None:
        self.url, self.watcher, self.line = url, watcher, line
        self.began = time.monotonic()


class Viewing(Load):
    """What `Load` can, and watchers by number."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self._shop = shop
        self._seats: dict[int, Seat] = {}
        self._lines = contextlib.AsyncExitStack()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        for seat in self._seats.values():
            seat.watcher.tick(now)
            seat.watcher.tick_media(now)
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _sit(self, seat: Seat) -> int:
        number = self._add(seat.watcher)
        self._seats[number] = seat
        return number

    async def join(self, url: str, codec: str, within_s: float = 20.0, *, silent: bool = False) -> Answer:
        """Join, wait for the first decoded picture, leave; returns the seconds from the request to the picture.

        `silent` leaves without a word: nothing is heard of the viewer any more.
        """
        watcher = Watcher(self._shop, codec)
        shown = asyncio.Event()
        watcher.on_frame = shown.set
        number = self._sit(Seat(url, watcher, None))
        offer = watcher.offer(sends=False)
        client = WhepClient(url, "bench")
        try:
            began = time.monotonic()
            watcher.accept((await client.offer(offer)).sdp)
            async with asyncio.timeout(within_s):
                await shown.wait()
            return {"seconds": watcher.shown_at - began}
        except TimeoutError as error:
            raise LinkError(f"no picture within {within_s:g} s of a join") from error
        finally:
            if not silent:
                await client.delete()
            await client.aclose()
            self._leave(number, silent=silent)

    def _leave(self, number: int, *, silent: bool) -> None:
        seat = self._seats.pop(number)
        self._peers.pop(number, None)
        if silent:
            seat.watcher.vanish()
        else:
            seat.watcher.close()

    @override
    async def drop(self, peers: list[int]) -> Answer:
        for number in peers:
            self._seats.pop(number, None)
        return await super().drop(peers)

    async def seat(self, codec: str) -> Answer:
        """Make a watcher and its offer, for whoever carries the offer himself; then `accept`."""
        watcher = Watcher(self._shop, codec)
        return {"peer": self._sit(Seat("", watcher, None)), "sdp": watcher.offer(sends=False)}

    async def watch(self, url: str, codec: str, port: int, loss: float, jitter_s: float, seed: int) -> Answer:
        """Watch through a bad line to the engine's UDP port, impaired both ways; returns the seat's number."""
        rules = [Impairment(loss=loss, jitter_s=jitter_s) for _ in range(2)]
        line = await self._lines.enter_async_context(BadLine(port, up=rules[0], down=rules[1], seed=seed))
        seat = Seat(url, Watcher(self._shop, codec), line)
        await self._dial(seat)
        return {"seat": self._sit(seat)}

    async def _dial(self, seat: Seat) -> None:
        client = WhepClient(seat.url, "bench")
        try:
            answer = await client.offer(seat.watcher.offer(sends=False))
        finally:
            await client.aclose()
        seat.watcher.accept(answer.sdp if seat.line is None else seat.line.through(answer.sdp))

    async def seen(self, seat: int) -> Answer:
        """Return what a watcher has seen since it sat down."""
        one, now = self._seats[seat], time.monotonic()
        watcher = one.watcher
        return {"frames": watcher.frames, "frozen_s": watcher.frozen_s(now), "at": now, "luma": watcher.luma,
                "lost": one.line.counts["lost"] if one.line is not None else 0}  # fmt: skip

    async def shows(self, seat: int, luma: float, since: float, within_s: float = 10.0) -> Answer:
        """Wait until a watcher decodes a picture of this brightness; returns the seconds from `since`."""
        watcher = self._seats[seat].watcher
        shown = asyncio.Event()

        def look() -> None:
            if watcher.shown_at > since and abs(watcher.luma - luma) < 20:
                shown.set()

        watcher.on_frame = look
        try:
            async with asyncio.timeout(within_s):
                await shown.wait()
        except TimeoutError as error:
            raise LinkError(f"the slot does not show the new picture within {within_s:g} s") from error
        finally:
            watcher.on_frame = None
        return {"seconds": watcher.shown_at - since}

    async def cut(self, seat: int, seconds: float) -> Answer:
        """Cut a watcher's line, mend it; returns the seconds from the mending to the next decoded picture."""
        one = self._seats[seat]
        if one.line is None:
            raise LinkError("this watcher sits behind no line")
        one.line.cut()
        await asyncio.sleep(seconds)
        one.line.cut(off=False)
        mended, tried, sessions = time.monotonic(), time.monotonic(), 0
        while one.watcher.shown_at < mended:
            now = time.monotonic()
            if now - mended > GIVE_UP_S:
                raise LinkError(f"no picture {GIVE_UP_S:g} s after a cut of {seconds:g} s")
            if one.watcher.ended or now - tried > REJOIN_S:
                tried, sessions = now, sessions + 1
                one.watcher.close()
                one.watcher = Watcher(self._shop, one.watcher.codec)
                self._peers[seat] = one.watcher
                await self._dial(one)
            await asyncio.sleep(0.005)
        return {"seconds": one.watcher.shown_at - mended, "sessions": sessions}


async def run(host: str) -> None:
    """Serve until the bench ends."""
    work = Viewing(Shop.open(host, identity.make(datetime.now(UTC))))
    names = (
        "traffic", "publisher", "viewer", "accept", "up", "play", "pause", "snap", "drop",
        "join", "seat", "watch", "seen", "shows", "cut",
    )  # fmt: skip
    await serve({name: getattr(work, name) for name in names})


def main() -> None:
    """Run as `python -m gateway.bench.viewing --host H`."""
    parser = argparse.ArgumentParser(description="decoding load of the media bench; started by it")
    parser.add_argument("--host", required=True)
    asyncio.run(run(parser.parse_args().host))


if __name__ == "__main__":
    main()
