"""Hears from the kernel (rtnetlink(7)) that an interface, an address or a route came, and says so: waiting is over.

A hint only: who hears it tries again at once. Where the kernel does not tell, the usual pauses go on.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)
SETTLE_S = 0.3
"""Changes come in bursts (link, address, route); one hint follows the last of them."""
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_NEW = frozenset({16, 20, 24})  # RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE
_HEAD = struct.Struct("=IHHII")


def kinds(data: bytes) -> Iterator[int]:
    """Yield the types of the messages in one datagram; a damaged one ends it."""
    while len(data) >= _HEAD.size:
        length, kind, *_ = _HEAD.unpack_from(data)
        if length < _HEAD.size or length > len(data):
            return
        yield kind
        data = data[(length + 3) & ~3 :]


async def watch(on_change: Callable[[], None]) -> None:
    """Call `on_change` after each burst of news, until cancelled; returns where the kernel gives no such socket."""
    try:
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except (OSError, AttributeError) as error:
        logger.info("no news of the network from this kernel", extra={"detail": str(error)})
        return
    with link:
        link.setblocking(False)  # noqa: FBT003 - the socket's own signature
        link.bind((0, _GROUPS))
        while True:
            if await _news(link):
                await _settled(link)
                logger.info("network changed")
                on_change()


async def _news(link: socket.socket) -> bool:
    try:
        data = await asyncio.get_running_loop().sock_recv(link, 65_536)
    except OSError:  # ENOBUFS: so much happened that some of it was lost
        return True
    return any(kind in _NEW for kind in kinds(data))


async def _settled(link: socket.socket) -> None:
    while True:
        try:
            async with asyncio.timeout(SETTLE_S):
                await _news(link)
        except TimeoutError:
            return
