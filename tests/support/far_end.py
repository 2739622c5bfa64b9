"""A receiver for link tests: its memory stands for a committed store, its faults for crashes."""

import asyncio
from collections import Counter

from protocols.aio.clock import SystemClock, new_ulid
from protocols.envelope import Lane
from protocols.receiver import Held, judge
from protocols.uplink import Frame, Receipt


class FarEnd:
    """`receive` is what a gateway's links room does, without the database.

    `refuse` maps origin counters to codes; `before_commit` and `after_commit` are called per frame and may raise.
    """

    def __init__(self, node: str = "320600") -> None:
        self.node = node
        self.clock = SystemClock()
        self.store_epoch = new_ulid(self.clock)
        self.held: dict[tuple[str, str, Lane], str] = {}
        self.seen: list[int] = []
        self.gaps: list[tuple[int, int]] = []
        self.voided: list[tuple[int, int, int | None]] = []
        self.refuse: dict[int, str] = {}
        self.refused: Counter[int] = Counter()
        self.duplicates = 0
        self.frames = 0
        self.before_commit = lambda frame: None
        self.after_commit = lambda frame: None
        self._changed = asyncio.Event()

    async def receive(self, node: str, frame: Frame) -> Receipt:
        self.frames += 1
        key = (node, frame.epoch, frame.lane)
        intake = judge(frame, Held.from_json(self.held.get(key)))
        fresh = []
        for record in intake.fresh:
            code = self.refuse.get(record.event.origincounter)
            if code:
                intake.refuse(record.seq, code, "planted")
                self.refused[record.event.origincounter] += 1
            else:
                fresh.append(record.event.origincounter)
        self.before_commit(frame)
        await asyncio.sleep(0)
        self.seen += fresh
        self.held[key] = intake.held.to_json()
        self.gaps += [(one.first, one.last) for one in intake.gaps]
        self.voided += [(one.first, one.last, one.by) for one in intake.voided]
        self.duplicates += intake.duplicates
        self._changed.set()
        self.after_commit(frame)
        return intake.receipt(self.node, self.store_epoch, self.clock.now())

    async def until(self, count: int, seconds: float = 60) -> None:
        """Wait until `count` records have been stored."""
        async with asyncio.timeout(seconds):
            while len(self.seen) < count:
                self._changed.clear()
                await self._changed.wait()

    def backup(self) -> tuple[dict, list[int]]:
        return dict(self.held), list(self.seen)

    def restore(self, copy: tuple[dict, list[int]]) -> None:
        self.held, self.seen = dict(copy[0]), list(copy[1])
