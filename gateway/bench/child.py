"""Helper processes that answer questions in JSON lines: both ends.

A question is `{"id": 1, "op": "publish", ...}`, its answer `{"id": 1, ...}` or `{"id": 1, "error": "..."}`; several are
answered beside each other. A helper ends when its standard input does, or with its parent.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.adapters.media_embedded.lineage import die_with_parent
from gateway.bench.processes import started_on
from protocols.aio.tasks import Supervisor
from protocols.errors import LinkError, SilianError

Answer = dict[str, Any]
Handler = Callable[..., Awaitable[Answer]]
LONGEST = 4 << 20
FAREWELL_S = 5.0


class Child:
    """A helper seen from the bench. Made by `child`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.log = name, log
        self.pid = process.pid
        self._process = process
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._number = 0

    async def ask(self, op: str, *, within_s: float = 60.0, **arguments: Any) -> Answer:
        """Ask and wait for the answer; raises LinkError where the helper fails or is gone."""
        if self._process.stdin is None or self._process.returncode is not None:
            raise LinkError(f"{self.name} is gone; see {self.log}")
        self._number += 1
        number = self._number
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            self._process.stdin.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
            await self._process.stdin.drain()
            async with asyncio.timeout(within_s):
                answer = await waiting
        except TimeoutError as error:
            raise LinkError(f"{self.name} did not answer {op} within {within_s:g} s; see {self.log}") from error
        except ConnectionError as error:
            raise LinkError(f"{self.name} is gone; see {self.log}") from error
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise LinkError(f"{self.name}: {op}: {answer['error']}")
        return answer

    async def read(self) -> None:
        """Pass answers on until the helper ends."""
        if self._process.stdout is None:
            raise AssertionError("helpers are started with pipes")
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            waiting = self._waiting.get(answer.pop("id", 0))
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LinkError(f"{self.name} is gone; see {self.log}"))


@contextlib.asynccontextmanager
async def child(name: str, module: str, arguments: Sequence[str], folder: Path, side: str) -> AsyncIterator[Child]:
    """Run `python -m module` as a helper until the context ends, on the cores of `side`."""
    log = folder / f"{name}.log"
    parent = os.getpid()
    with log.open("ab") as errors, started_on(side):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LONGEST,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),
        )
    made = Child(name, process, log)
    tasks = Supervisor(f"helper {name}")
    try:
        tasks.start("read", made.read, restart=False)
        yield made
    finally:
        await _end(process)
        await tasks.stop()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(FAREWELL_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def serve(handlers: Mapping[str, Handler]) -> None:
    """Answer questions from standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def answer(question: Answer) -> None:
        number, op = question.pop("id"), question.pop("op")
        try:
            found = await handlers[op](**question)
        except (SilianError, TimeoutError, OSError) as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"id": number, **found}) + "\n")
        sys.stdout.flush()

    async with asyncio.TaskGroup() as group:
        running: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            question = json.loads(line)
            task = group.create_task(answer(question), name=f"answer[{question['op']}]")
            running.add(task)
            task.add_done_callback(running.discard)
        for task in running:
            task.cancel()
