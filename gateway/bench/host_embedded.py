"""The embedded engine as the bench measures it: a control process of its own, the worker below it.

It is the engine that the gateway runs, without the rooms around it; HTTP is there for sessions that dial.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

from gateway.adapters.media_embedded.backends import BACKENDS
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.child import Answer, serve
from gateway.bench.front import Front
from gateway.ports.media import Capability, Layer, SessionKind, Slot


class Host:
    """What the bench may ask of the engine."""

    def __init__(self, engine: EmbeddedMediaEngine, front: Front) -> None:
        self._engine, self._front = engine, front
        self._busy: asyncio.TimerHandle | None = None

    async def facts(self) -> Answer:
        """Return process ids, address of the HTTP front, and what the engine can do."""
        worker = self._engine.worker_pid
        return {
            "workers": [worker] if worker is not None else [],
            "url": self._front.url,
            "port": self._engine.port,
            "backends": list(BACKENDS),
            "backend": self._engine.backend,
            "wall": Capability.WALL in self._engine.capabilities,
        }

    async def publish(self, stream: str, sdp: str) -> Answer:
        """Take a publisher."""
        answer = await self._engine.publish(stream, sdp)
        return {"session": answer.session_id, "sdp": answer.sdp}

    async def view(self, stream: str, sdp: str) -> Answer:
        """Take a viewer."""
        answer = await self._engine.play(stream, sdp)
        return {"session": answer.session_id, "sdp": answer.sdp}

    async def wall(self, sdp: str) -> Answer:
        """Take a wall."""
        answer = await self._engine.wall(sdp)
        return {"session": answer.session_id, "sdp": answer.sdp}

    async def assign(self, session: str, slots: dict[str, str]) -> Answer:
        """Put streams into video slots of a wall, by their number."""
        wanted = [Slot("video", int(place), stream, Layer.MAIN) for place, stream in slots.items()]
        await self._engine.assign(session, wanted)
        return {}

    async def relay(self, stream: str, url: str) -> Answer:
        """Publish a stream to another engine."""
        return {"session": await self._engine.relay(stream, url, "bench")}

    async def end(self, session: str) -> Answer:
        """End a session."""
        await self._engine.end(session)
        return {}

    async def stats(self) -> Answer:
        """Return how many sessions there are, what was dropped, and the modes."""
        found = await self._engine.stats()
        return {"sessions": found.sessions, "dropped": found.dropped, "modes": found.modes,
                "streams": len(found.streams), "restarts": found.worker_restarts}  # fmt: skip

    async def lines(self) -> Answer:
        """Return what viewers told of their lines: share of packets lost, round trip in milliseconds."""
        found = [one for one in (await self._engine.stats()).lines if one.kind is SessionKind.WHEP]
        return {"lost": [one.fraction_lost for one in found], "rtt_ms": [one.rtt_ms for one in found]}

    async def tasks(self) -> Answer:
        """Return how many tasks this process has, the one that answers included."""
        return {"tasks": len(asyncio.all_tasks())}

    async def stall(self, each_s: float, busy_s: float) -> Answer:
        """Keep this process's loop busy for `busy_s` of every `each_s`; 0 ends that.

        It leaves the worker's core: what is measured is whether packets wait for the loop, not for the scheduler.
        """
        elsewhere = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
        if elsewhere:
            os.sched_setaffinity(0, elsewhere)
        if self._busy is not None:
            self._busy.cancel()
            self._busy = None
        if each_s:
            self._burn(each_s, busy_s)
        return {}

    def _burn(self, each_s: float, busy_s: float) -> None:
        end = time.perf_counter() + busy_s
        while time.perf_counter() < end:
            pass
        self._busy = asyncio.get_running_loop().call_later(each_s - busy_s, self._burn, each_s, busy_s)


async def run(host: str, folder: Path, backend: str) -> None:
    """Serve until the bench ends."""
    async with (
        EmbeddedMediaEngine(state_dir=folder, advertise=(host,), backend=backend) as engine,
        Front(engine) as front,
    ):
        work = Host(engine, front)
        names = ("facts", "publish", "view", "wall", "assign", "relay", "end", "stats", "lines", "tasks", "stall")
        await serve({name: getattr(work, name) for name in names})


def main() -> None:
    """Run as `python -m gateway.bench.host_embedded --host H --folder D --backend B`."""
    parser = argparse.ArgumentParser(description="embedded media engine under measurement; started by the bench")
    parser.add_argument("--host", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--backend", required=True)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.host, arguments.folder, arguments.backend))


if __name__ == "__main__":
    main()
