"""The life of `silian serve`: start, tell systemd, wait for SIGTERM, drain."""

import asyncio
import gc
import logging
import signal

from gateway.settings import Settings
from protocols.aio.notify import notify, watchdog_s

logger = logging.getLogger(__name__)
REPLACED = 75
"""Exit code of a replica that another one replaced (EX_TEMPFAIL of sysexits.h): start it anew, and it joins."""


async def serve(settings: Settings) -> None:
    """Run one gateway until SIGTERM or SIGINT; a second signal while it drains ends it at once."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        if ended.is_set():
            raise SystemExit(1)
        logger.info("signal", extra={"signal": name})
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    # The composition root loads half the libraries there are: after the settings were found good.
    from gateway.app import Gateway

    async with Gateway(settings) as gateway:
        # What is loaded now stays for ever: the collector need not look through it while pictures flow.
        gc.collect()
        gc.freeze()
        notify("READY=1")
        await _until(ended, gateway.replaced)
        notify("STOPPING=1")
    if gateway.replaced.is_set():
        raise SystemExit(REPLACED)


async def _until(*ends: asyncio.Event) -> None:
    pause = watchdog_s()
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(end.wait(), name="serve.end") for end in ends]
        while not any(end.is_set() for end in ends):
            await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            notify("WATCHDOG=1")
        for wait in waits:
            wait.cancel()
