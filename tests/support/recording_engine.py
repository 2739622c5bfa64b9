"""An engine with a publisher and a recording in a process of its own, to be killed: `DIR STREAM CODEC`.

It says `recording` once the recording grows, then how many seconds are recorded, again and again.
"""

import asyncio
import sys
from pathlib import Path

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from tests.support import passed_on
from tests.support.peers import publisher
from tests.support.posts import whip


async def main() -> None:
    """Record until killed."""
    directory, stream, codec = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    async with (
        EmbeddedMediaEngine(state_dir=directory / "engine") as engine,
        publisher(whip(engine, stream), codec=codec, audio=True),
    ):
        await engine.record(stream, directory / "dead")
        while not engine.recordings.figures()[0].files:
            await asyncio.sleep(0.02)
        print("recording", flush=True)
        while True:
            print(engine.recordings.figures()[0].seconds, flush=True)
            await asyncio.sleep(0.05)


with passed_on.taught():
    asyncio.run(main())
