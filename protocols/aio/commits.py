"""Group commit: one thread owns the database, and everything that waits goes into the next transaction together.

**A result is delivered only after the commit that made it true**, so that nothing is receipted, acknowledged or sent
before it is on the disk. No timer delays a commit: what arrives while one runs is the next group.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from protocols.aio.spool_file import Ballast, SpoolFile, is_full
from protocols.errors import SilianError, SpoolFullError

logger = logging.getLogger(__name__)
GROUP = 200
"""Operations per commit at most (reference alarms.md section 4)."""
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Op:
    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    aside: bool = False
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """Start it, `do` things, stop it. Every call of `do` is atomic: it happens whole or raises and changes nothing."""

    def __init__(self, file: SpoolFile, ballast: Ballast) -> None:
        self._file = file
        self._ballast = ballast
        self._queue: queue.SimpleQueue[_Op | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def start(self) -> None:
        """Start the thread; results are delivered to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self._ended = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` inside the next transaction; durable on return. Cancelling leaves it to happen or not."""
        result: T = await self._ask(_Op(lambda: work(*args, **kwargs), asyncio.get_running_loop().create_future()))
        return result

    async def aside(self, work: Callable[[], T]) -> T:
        """Run `work` on the thread outside any transaction."""
        result: T = await self._ask(_Op(work, asyncio.get_running_loop().create_future(), aside=True))
        return result

    async def _ask(self, op: _Op) -> Any:
        if self._ended:
            raise SpoolFullError("the spool is closed; keep the record and try again later")
        self._queue.put(op)
        return await op.future

    def _run(self) -> None:
        ended = False
        while not ended:
            group = [self._queue.get()]
            while len(group) < GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            ended = None in group
            ops = [op for op in group if op is not None]
            self._commit([op for op in ops if not op.aside])
            for op in ops:
                if op.aside:
                    self._alone(op)
            self._deliver(ops)

    def _commit(self, ops: list[_Op]) -> None:
        if not ops:
            return
        try:
            self._transaction(ops)
        except Exception as error:  # noqa: BLE001 - what one of them did may not take the database from the others
            if len(ops) > 1:
                for op in ops:
                    self._commit([op])
            elif is_full(error) and self._more_room():
                self._commit(ops)
            else:
                ops[0].error = _named(error)

    def _transaction(self, ops: list[_Op]) -> None:
        self._file.begin()
        try:
            for op in ops:
                self._call(op)
            self._file.commit()
        except BaseException:
            self._file.rollback()
            raise
        self._file.counters["commits"] += 1

    def _call(self, op: _Op) -> None:
        op.error = None
        try:
            op.result = op.work()
        except SilianError as error:
            op.error = error  # said before anything of its own was written: the others of the group go on

    def _alone(self, op: _Op) -> None:
        try:
            self._call(op)
        except Exception as error:  # noqa: BLE001 - delivered to the caller, as of any operation
            op.error = error

    def _more_room(self) -> bool:
        """Give up the ballast because the disk itself is full, and move the log into the file."""
        if not self._ballast.release():
            return False
        self._file.counters["ballast_released"] += 1
        logger.error("disk full, ballast released")
        try:
            self._file.checkpoint()
        except sqlite3.Error as error:
            logger.warning("checkpoint failed", extra={"error": str(error)})
        return True

    def _deliver(self, ops: list[_Op]) -> None:
        assert self._loop is not None  # noqa: S101 - start has set it
        try:
            self._loop.call_soon_threadsafe(_settle, ops)
        except RuntimeError:
            logger.warning("loop closed before the spool", extra={"undelivered": len(ops)})


def _settle(ops: list[_Op]) -> None:
    for op in ops:
        if op.future.done():
            continue
        if op.error is not None:
            op.future.set_exception(op.error)
        else:
            op.future.set_result(op.result)


def _named(error: BaseException) -> BaseException:
    if is_full(error):
        return SpoolFullError(f"the disk is full ({error}); keep the record and try again later")
    return error
