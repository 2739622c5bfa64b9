"""The life of `silian serve`: start, tell systemd, wait for SIGTERM, drain."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gateway.settings import Settings
from protocols.aio.clock import SystemClock
from protocols.aio.interpreter import loading, settle
from protocols.aio.notify import notify, watchdog_s
from protocols.errors import StoreAwayError

if TYPE_CHECKING:
    from gateway.app import Gateway

logger = logging.getLogger(__name__)
AGAIN_S = 1.0
"""Pause before a start is tried again."""
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
    async with AsyncExitStack() as stack:
        gateway = await _started(stack, settings, ended)
        if gateway is None:
            return
        settle()
        notify("READY=1")
        await _until(ended, gateway.replaced)
        notify("STOPPING=1")
    if gateway.replaced.is_set():
        raise SystemExit(REPLACED)


async def _started(stack: AsyncExitStack, settings: Settings, ended: asyncio.Event) -> "Gateway | None":
    """Start the gateway, anew where its database goes away meanwhile; None where it is to end before it has begun."""
    with loading():
        # The composition root loads half the libraries there are: after the settings were found good.
        from gateway.app import Gateway

    while not ended.is_set():
        try:
            with loading():
                gateway = Gateway(settings)
            return await stack.enter_async_context(gateway)
        except (StoreAwayError, BaseExceptionGroup) as error:
            if not _only_away(error):
                raise
            logger.warning("start begins anew: %s", _first(error))
        await SystemClock().wait(ended, AGAIN_S)
    return None


def _only_away(error: BaseException) -> bool:
    """Tell whether nothing but the database was in the way; the parts that start beside it are then cancelled."""
    if isinstance(error, BaseExceptionGroup):
        return all(_only_away(one) for one in error.exceptions)
    return isinstance(error, StoreAwayError)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _until(*ends: asyncio.Event) -> None:
    pause = watchdog_s()
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(end.wait(), name="serve.end") for end in ends]
        while not any(end.is_set() for end in ends):
            await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            notify("WATCHDOG=1")
        for wait in waits:
            wait.cancel()
