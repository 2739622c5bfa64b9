"""How long each hop of a click took: one trace id from the page down to the camera, one chain per stream.

The trace is a W3C traceparent; it goes down in `media.publish`, and each gateway's reply tells what its own hop and
those below it took so far, so that the gateway where somebody clicked knows the whole chain after the next renewal.
Times are monotonic seconds given as arguments.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from protocols.command import HopTiming

KEPT = 256
"""Streams whose last chain is remembered."""
HOPS = 8
"""Hops of one chain that are believed; four tiers and an agent make five."""
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Stage(StrEnum):
    """What a hop waits for, in this order; metric label."""

    ANSWERED = "answered"  # the next hop answered the command
    CONNECTED = "connected"  # its session stands
    PACKET = "packet"  # the first packet arrived
    PICTURE = "picture"  # the first whole key frame began


def traceparent(given: str | None, random: bytes) -> str:
    """Return a valid traceparent as given, else a new one made of 24 random bytes."""
    if given is not None and _TRACEPARENT.fullmatch(given):
        return given
    return f"00-{random[:16].hex()}-{random[16:24].hex()}-01"


@dataclass(slots=True)
class Chain:
    """The last time that a stream was asked for. `below` is what the hops below told of theirs."""

    trace: str
    asked_at: datetime
    asked: float
    marks: dict[Stage, int] = field(default_factory=dict)
    below: tuple[HopTiming, ...] = ()


class Chains:
    """The last chain of each stream asked for here, oldest forgotten first."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._chains: OrderedDict[str, Chain] = OrderedDict()

    def begin(self, stream: str, trace: str, at: datetime, now: float) -> None:
        """Note that the next hop is being asked for a stream that was not coming."""
        self._chains.pop(stream, None)
        self._chains[stream] = Chain(trace, at, now)
        while len(self._chains) > KEPT:
            self._chains.popitem(last=False)

    def mark(self, stream: str, stage: Stage, now: float) -> float | None:
        """Note that a stage was reached; returns its seconds the first time, None where it was known or not asked."""
        chain = self._chains.get(stream)
        if chain is None or stage in chain.marks:
            return None
        chain.marks[stage] = round((now - chain.asked) * 1000)
        return now - chain.asked

    def tell(self, stream: str, hops: tuple[HopTiming, ...]) -> None:
        """Take what the hops below say of this chain."""
        chain = self._chains.get(stream)
        if chain is not None and hops:
            chain.below = hops[:HOPS]

    def trace(self, stream: str) -> str | None:
        """Return the trace of a stream's last chain."""
        chain = self._chains.get(stream)
        return chain.trace if chain is not None else None

    def path(self, stream: str) -> tuple[HopTiming, ...]:
        """Return this hop and those below it, as far as they are known."""
        chain = self._chains.get(stream)
        if chain is None:
            return ()
        timing = {f"{stage.value}_ms": ms for stage, ms in chain.marks.items()}
        return (HopTiming(node=self._node, asked_at=chain.asked_at, **timing), *chain.below)
