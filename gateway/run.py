"""The life of `silian serve`: start, tell systemd, wait for SIGTERM, drain."""

import asyncio
import gc
import logging
import signal

from gateway.settings import Settings
from protocols.aio.notify import notify, watchdog_s

logger = logging.getLogger(__name__)


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

    async with Gateway(settings):
        # What is loaded now stays for ever: the collector need not look through it while pictures flow.
        gc.collect()
        gc.freeze()
        notify("READY=1")
        await _until(ended)
        notify("STOPPING=1")


async def _until(ended: asyncio.Event) -> None:
    pause = watchdog_s()
    while not ended.is_set():
        try:
            async with asyncio.timeout(pause):
                await ended.wait()
        except TimeoutError:
            notify("WATCHDOG=1")
