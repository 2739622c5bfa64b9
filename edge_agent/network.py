"""Hears from the kernel (rtnetlink(7)) that the network changed, and tells two things apart.

*Back*: an interface, an address or a route came; who waits tries again at once. *Moved*: the machine's own addresses or
its way out are others than before; what stands on the old ones is made anew. Where the kernel does not tell, the
addresses are compared each second instead.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

logger = logging.getLogger(__name__)
SETTLE_S = 0.3
"""Changes come in bursts (link, address, route); one hint follows the last of them."""
LOOK_S = 1.0
"""Addresses are compared so often where the kernel does not tell."""
SURE_LOOK_S = 10.0
"""And so often where it does."""
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_NEW = frozenset({16, 20, 24})  # RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE
_HEAD = struct.Struct("=IHHII")
_NET = Path("/proc/net")


def kinds(data: bytes) -> Iterator[int]:
    """Yield the types of the messages in one datagram; a damaged one ends it."""
    while len(data) >= _HEAD.size:
        length, kind, *_ = _HEAD.unpack_from(data)
        if length < _HEAD.size or length > len(data):
            return
        yield kind
        data = data[(length + 3) & ~3 :]


def place(net: Path = _NET) -> frozenset[str]:
    """Return this machine's addresses beyond loopback, and the interface and next hop of its way out.

    Empty where there is no address at all (a pulled cable) or the kernel does not tell.
    """
    addresses = {*_addresses4(_read(net / "fib_trie")), *_addresses6(_read(net / "if_inet6"))}
    return frozenset(addresses | set(_ways_out(_read(net / "route")))) if addresses else frozenset()


def _read(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text("ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return []


def _addresses4(lines: list[list[str]]) -> Iterator[str]:
    address = ""
    for words in lines:
        if words[:1] == ["|--"] and len(words) > 1:
            address = words[1]
        elif words == ["/32", "host", "LOCAL"] and not address.startswith("127."):
            yield address


def _addresses6(lines: list[list[str]]) -> Iterator[str]:
    return (words[0] for words in lines if len(words) >= 6 and words[3] == "00")  # scope global


def _ways_out(lines: list[list[str]]) -> Iterator[str]:
    defaults = [words for words in lines[1:] if len(words) >= 8 and words[1] == words[7] == "00000000"]
    if defaults:
        least = min(defaults, key=lambda words: int(words[6]))
        yield f"{least[0]} {least[2]}"


async def watch(on_change: Callable[[bool], None]) -> None:
    """Call `on_change(moved)` after each burst of news, until cancelled."""
    here, link = place(), _listen()
    try:
        while True:
            came = await _next(link)
            now = place()
            # Addresses that are all gone say nothing yet: the same ones may come back.
            moved = bool(now) and bool(here) and now != here
            here = now or here
            if came or moved:
                logger.info("network changed", extra={"moved": moved})
                on_change(moved)
    finally:
        if link is not None:
            link.close()


def _listen() -> socket.socket | None:
    try:
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except (OSError, AttributeError) as error:
        logger.info("no news of the network from this kernel", extra={"detail": str(error)})
        return None
    link.settimeout(0)
    link.bind((0, _GROUPS))
    return link


async def _next(link: socket.socket | None) -> bool:
    """Wait for a burst of news and its end, for a time; tell whether something came."""
    if link is None:
        await asyncio.sleep(LOOK_S)
        return False
    try:
        async with asyncio.timeout(SURE_LOOK_S):
            came = await _news(link)
    except TimeoutError:
        return False
    return await _settled(link) or came


async def _news(link: socket.socket) -> bool:
    try:
        data = await asyncio.get_running_loop().sock_recv(link, 65_536)
    except OSError:  # ENOBUFS: so much happened that some of it was lost
        return True
    return any(kind in _NEW for kind in kinds(data))


async def _settled(link: socket.socket) -> bool:
    came = False
    while True:
        try:
            async with asyncio.timeout(SETTLE_S):
                came = await _news(link) or came
        except TimeoutError:
            return came
