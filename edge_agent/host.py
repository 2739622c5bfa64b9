"""Several agents in one process, for benchmarks and rehearsals of many counties: `python -m edge_agent.host FILE...`.

Each is the whole agent of its settings file. What a machine tells of its power is read from `<state>/sys` where that
folder stands, so that a rehearsal can have an uninterruptible supply of its own. SIGTERM drains all.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_agent.app import Agent
from edge_agent.box import BoxWatch
from edge_agent.logs import start_logging
from edge_agent.settings import Settings, load

THREADS = 6
"""The default of one agent on two cores (`concurrent.futures`)."""


def make_agent(settings: Settings) -> Agent:
    """Make one agent; must run in the loop."""
    power = settings.state.dir / "sys"
    box = BoxWatch(settings.state.dir, sys=power) if power.is_dir() else None
    return Agent(settings, box=box)


async def run(files: Sequence[Path]) -> None:
    """Run the agents of the files until SIGTERM; one that fails ends all."""
    agents = [make_agent(load(file)) for file in files]
    # As many threads as so many boxes would have: the commits of one must not wait for the cameras of the others.
    threads = ThreadPoolExecutor(THREADS * len(agents), thread_name_prefix="agents")
    asyncio.get_running_loop().set_default_executor(threads)

    def stop() -> None:
        for agent in agents:
            agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.run(), name=f"agent[{agent.node}]")


def main() -> None:
    """Run the agents named on the command line."""
    files = [Path(name) for name in sys.argv[1:]]
    if not files:
        sys.exit("usage: python -m edge_agent.host FILE...")
    log = load(files[0]).log
    start_logging(log.level, as_json=log.form == "json")
    asyncio.run(run(files))


if __name__ == "__main__":
    main()
