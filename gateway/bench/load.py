"""The load: publishers and counting viewers of one run, in a process of their own. It is told what to do by `child`.

All receivers are emptied every 10 ms by one timer; publishers send each picture's packets together, as encoders do.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.adapters.media_embedded import identity
from gateway.bench.child import Answer, serve
from gateway.bench.peer import PROFILE, Counter, Peer, Publisher, Shop, WallCounter
from gateway.bench.traffic import CLOCK, RATE, Frame, load
from protocols.errors import LinkError

DRAIN_S = 0.01
STEP = CLOCK // RATE


@dataclass(slots=True)
class Playing:
    """One publisher at work."""

    publisher: Publisher
    frames: list[Frame]
    place: int = 0
    number: int = 0
    began: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Load:
    """Peers by number, and the timers that drive them."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._peers: dict[int, Peer] = {}
        self._counters: dict[int, Counter] = {}
        self._playing: dict[int, Playing] = {}
        self._traffic: dict[str, list[Frame]] = {}
        self._last = 0
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self._due = self._loop.time()
        self._late_s = 0.0
        self._loop.call_later(DRAIN_S, self._drain)

    def _add(self, peer: Peer) -> int:
        self._last += 1
        self._peers[self._last] = peer
        return self._last

    # -- timers -----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        now = time.monotonic()
        self._turn += 1
        for number, counter in self._counters.items():
            counter.drain()
            if counter.arrivals is not None:
                counter.answer_arrivals(now)
            if (number + self._turn) % 100 == 0:
                counter.report(now)
        for number, one in self._playing.items():
            if (number + self._turn) % 100 == 0:
                one.publisher.report(now)
        self._late_s = max(self._late_s, self._loop.time() - self._due)
        self._due = max(self._due + DRAIN_S, self._loop.time())
        self._loop.call_at(self._due, self._drain)

    def _frame(self, one: Playing) -> None:
        # The time stamp follows the clock, so that a pause is a pause and no burst.
        one.publisher.frame(one.frames[one.place].payloads, one.number * STEP)
        one.place = (one.place + 1) % len(one.frames)
        one.number += 1
        one.timer = self._loop.call_at(one.began + one.number / RATE, self._frame, one)

    # -- what the bench asks ----------------------------------------------------------------------------------------

    async def traffic(self, name: str, path: str, codec: str) -> Answer:
        """Load prerecorded traffic under a name."""
        frames = await asyncio.to_thread(load, Path(path), codec)
        self._traffic[name] = frames
        packets = sum(len(frame.payloads) for frame in frames)
        octets = sum(len(payload) for frame in frames for payload in frame.payloads)
        seconds = len(frames) / RATE
        return {"packets_per_s": packets / seconds, "bitrate": 8 * octets / seconds}

    async def publisher(self, codec: str, traffic: str) -> Answer:
        """Make a publisher and its offer."""
        peer = Publisher(self._shop, codec)
        number = self._add(peer)
        self._playing[number] = Playing(peer, self._traffic[traffic])
        return {"peer": number, "sdp": peer.offer(sends=True)}

    async def viewer(self, codec: str, slots: int = 1) -> Answer:
        """Make a counting viewer, or a wall with so many slots, and its offer."""
        peer = Counter(self._shop, codec) if slots == 1 else WallCounter(self._shop, codec)
        return {"peer": self._add(peer), "sdp": peer.offer(sends=False, slots=slots)}

    async def answer(self, codec: str, sdp: str, slots: int = 1) -> Answer:
        """Make a counting viewer, or a wall, that answers an offer."""
        peer = Counter(self._shop, codec) if slots == 1 else WallCounter(self._shop, codec)
        return {"peer": self._add(peer), "sdp": peer.answer(sdp)}

    async def accept(self, peer: int, sdp: str) -> Answer:
        """Take an answer and wait for keys."""
        self._peers[peer].accept(sdp)
        return await self.up(peer)

    async def up(self, peer: int) -> Answer:
        """Wait for keys; a counting viewer is then emptied by the timer alone."""
        one = self._peers[peer]
        await one.up()
        if isinstance(one, Counter):
            one.rest()
            self._counters[peer] = one
        feedback = one.agreed is not None and bool(one.agreed.transport_id)
        return {"profile": one.profile, "feedback": feedback}

    async def play(self, peers: list[int]) -> Answer:
        """Let publishers send, spread over the time of one picture."""
        now = self._loop.time()
        for place, number in enumerate(peers):
            one = self._playing[number]
            lag = place / len(peers) / RATE
            if one.began:  # after a pause the clock has gone on
                one.number = max(one.number, int((now - one.began) * RATE) + 1)
            else:
                one.began = now + lag
            if one.timer is None:
                one.timer = self._loop.call_at(one.began + one.number / RATE, self._frame, one)
        return {}

    async def pause(self, peers: list[int]) -> Answer:
        """Let publishers rest; their sessions stay."""
        for number in peers:
            one = self._playing[number]
            if one.timer is not None:
                one.timer.cancel()
                one.timer = None
        return {}

    async def stamp(self, publisher: int, viewers: list[int]) -> Answer:
        """Measure the delay from a publisher to these viewers from now on."""
        source = self._playing[publisher].publisher
        source.sent_at = []
        for number in viewers:
            table: dict[bytes, int] = {}
            source.sent_at.append(table)
            self._counters[number].stamped(table)
        return {}

    async def filled(self, peers: list[int]) -> Answer:
        """Say in how many slots the emptiest of these walls has seen a packet."""
        walls = [self._counters[number] for number in peers]
        return {"slots": min((len(wall.tracks) for wall in walls if isinstance(wall, WallCounter)), default=0)}

    async def snap(self, viewers: list[int], publishers: list[int]) -> Answer:
        """Return sums over these peers so far, and delays in ms since the last call of those that measure them."""
        counters = [self._counters[number] for number in viewers]
        delays: list[list[float]] = []
        for counter in counters:
            counter.drain()
            if counter.delays is not None:
                delays.append(counter.delays)
                counter.delays = []
        late, self._late_s = self._late_s, 0.0
        return {
            "at": time.monotonic(),
            "packets": sum(c.packets for c in counters),
            "expected": sum(c.expected for c in counters),
            "fewest": min((c.packets for c in counters), default=0),
            "octets": sum(c.octets for c in counters),
            "forged": sum(c.forged for c in counters),
            "sent": sum(self._playing[number].publisher.sent for number in publishers),
            "cpu_s": time.process_time(),
            "late_ms": late * 1000,
            "delays_ms": delays,
        }

    async def drop(self, peers: list[int]) -> Answer:
        """End peers."""
        await self.pause([number for number in peers if number in self._playing])
        for number in peers:
            self._counters.pop(number, None)
            self._playing.pop(number, None)
            if (peer := self._peers.pop(number, None)) is not None:
                peer.close()
        return {}

    async def ended(self, peers: list[int]) -> Answer:
        """Say which of these peers are over."""
        return {"ended": [number for number in peers if number not in self._peers or self._peers[number].ended]}


async def run(arguments: Any) -> None:
    """Serve until the bench ends."""
    own = identity.make(datetime.now(UTC))
    work = Load(Shop.open(arguments.host, own, arguments.profile.encode()))
    names = (
        "traffic", "publisher", "viewer", "answer", "accept", "up", "play", "pause", "stamp", "filled", "snap", "drop",
        "ended",
    )  # fmt: skip
    await serve({name: getattr(work, name) for name in names})


def main() -> None:
    """Run as `python -m gateway.bench.load --host H`."""
    parser = argparse.ArgumentParser(description="load of the media bench; started by it")
    parser.add_argument("--host", required=True)
    parser.add_argument("--profile", default=PROFILE.decode())
    try:
        asyncio.run(run(parser.parse_args()))
    except LinkError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
