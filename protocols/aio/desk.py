"""Takes frames in: one worker per sending node and lane, a receipt after each commit, a watch over gaps.

Frames of one lane that wait while a commit runs are taken together: one commit and one receipt for all of them.

**The broker is told "safe" and the sender gets its receipt only after `receive` has returned.**
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.aio.clock import Clock
from protocols.aio.mqtt import Message, MqttError, MqttLink
from protocols.aio.tasks import together
from protocols.errors import RefusedError, SilianError
from protocols.receiver import GapWatch
from protocols.uplink import Frame, Receipt

if TYPE_CHECKING:
    from protocols.aio.uplink import Receive

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    node: str
    frame: Frame
    message: Message | None


TOGETHER_RECORDS = 512
"""Records of waiting frames that one commit takes at most: half of the sender's window."""


def merged(frames: list[Frame]) -> Frame:
    """Return one frame that says what all of them say; they are of one node, epoch and lane, in order."""
    if len(frames) == 1:
        return frames[0]
    return frames[-1].model_copy(
        update={
            "records": tuple({record.seq: record for frame in frames for record in frame.records}.values()),
            "voids": tuple(void for frame in frames for void in frame.voids),
            "faults": tuple(fault for frame in frames for fault in frame.faults),
            "ask": any(frame.ask for frame in frames),
        }
    )


class Desk:
    """One per connection. `take` every durable frame; run `run` beside the reader.

    `publish(node, receipt)` sends a receipt. counters: frames_received, records_received, receipts_sent,
    receive_failures, gap_asks, publish_refused.
    """

    def __init__(
        self,
        *,
        receive: "Receive",
        publish: Callable[[str, bytes], Awaitable[None]],
        link: MqttLink,
        session: str,
        clock: Clock,
        counters: Counter[str],
    ) -> None:
        self._receive = receive
        self._publish = publish
        self._link = link
        self._session = session
        self._clock = clock
        self._counters = counters
        self._number = 0
        self._watch = GapWatch()
        self._watched = asyncio.Event()
        self._incoming: asyncio.Queue[_Job] = asyncio.Queue()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def take(self, node: str, frame: Frame, message: Message) -> None:
        """Queue a frame of `node`; `message` is acknowledged to the broker once it is safe."""
        self._counters["frames_received"] += 1
        self._counters["records_received"] += len(frame.records)
        self._add(_Job(node, frame, message))

    def forget(self, node: str) -> None:
        """Stop asking a node that left for what is missing."""
        self._watch.forget(node)

    def stamp(self, receipt: Receipt) -> Receipt:
        """Give a receipt its place in the order of this connection."""
        self._number += 1
        return receipt.model_copy(update={"session": self._session, "number": self._number})

    async def drained(self) -> None:
        """Return when every frame taken so far is committed and receipted."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled or the connection ends (MqttError)."""
        await together({"desk.frames": self._dispatch(), "desk.gaps": self._ask_for_gaps()})

    def _add(self, job: _Job) -> None:
        self._busy += 1
        self._idle.clear()
        self._incoming.put_nowait(job)

    async def _dispatch(self) -> None:
        workers: dict[tuple[str, str], asyncio.Queue[_Job]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                job = await self._incoming.get()
                key = (job.node, job.frame.lane)
                if key not in workers:
                    workers[key] = asyncio.Queue()
                    group.create_task(self._work(workers[key]), name=f"desk[{job.node}/{job.frame.lane}]")
                workers[key].put_nowait(job)

    async def _work(self, jobs: "asyncio.Queue[_Job]") -> None:
        left: _Job | None = None
        while True:
            batch = [left or await jobs.get()]
            left = self._more(batch, jobs)
            try:
                await self._handle(batch)
            except MqttError:
                return  # the link's reader raises it for all
            finally:
                self._busy -= len(batch)
                if not self._busy:
                    self._idle.set()

    @staticmethod
    def _more(batch: list[_Job], jobs: "asyncio.Queue[_Job]") -> _Job | None:
        """Add to `batch` what waits and fits; return the first that does not."""
        room = TOGETHER_RECORDS - len(batch[0].frame.records)
        while not jobs.empty():
            job = jobs.get_nowait()
            room -= len(job.frame.records)
            if room < 0 or job.frame.epoch != batch[0].frame.epoch:
                return job
            batch.append(job)
        return None

    async def _handle(self, batch: list[_Job]) -> None:
        job, asks = batch[-1], any(one.message is None for one in batch)
        frame = merged([one.frame for one in batch])
        try:
            receipt = await self._receive(job.node, frame)
        except Exception as error:
            if len(batch) > 1:
                for one in batch:  # whatever one of them carries may not keep its neighbours out
                    await self._handle([one])
                return
            self._counters["receive_failures"] += 1
            fields = {"node": job.node, "lane": frame.lane, "records": len(frame.records)}
            known = isinstance(error, SilianError)
            logger.error("frame not stored", extra={**fields, "error": str(error)}, exc_info=None if known else error)
            receipt = None
        for one in batch:
            if one.message is not None:
                self._link.ack(one.message)
        if receipt is None:
            return
        receipt = self.stamp(receipt.model_copy(update={"ask": asks}))
        self._watch.saw(job.node, receipt, self._clock.monotonic())
        self._watched.set()
        self._counters["receipts_sent"] += 1
        try:
            await self._publish(job.node, receipt.model_dump_json(exclude_none=True).encode())
        except RefusedError as error:
            self._counters["publish_refused"] += 1
            logger.error("broker refused a receipt", extra={"node": job.node, "error": str(error)})

    async def _ask_for_gaps(self) -> None:
        while True:
            self._watched.clear()
            now = self._clock.monotonic()
            for peer, epoch, lane, holes in self._watch.due(now):
                self._counters["gap_asks"] += 1
                logger.warning("gap", extra={"node": peer, "lane": lane, "holes": holes[:8]})
                self._add(_Job(peer, Frame(node=peer, epoch=epoch, lane=lane, ask=True), None))
            deadline = self._watch.deadline
            await self._clock.wait(self._watched, None if deadline is None else deadline - now)
