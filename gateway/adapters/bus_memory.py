"""The bus of a gateway that stands alone: members are in one process, which outside of tests is this gateway only."""

import logging
from typing import Self

from typing_extensions import override

from gateway.ports.bus import Bus, BusHealth, Ears

logger = logging.getLogger(__name__)


class Hub:
    """What the members of one process share."""

    def __init__(self) -> None:
        self.members: list[MemoryBus] = []


class MemoryBus(Bus):
    """Contract: `gateway.ports.bus`."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub or Hub()
        self._ears: list[Ears] = []

    @override
    def listen(self, ears: Ears) -> None:
        self._ears.append(ears)

    @override
    def announce(self, id_: str, body: bytes) -> None:
        for member in tuple(self._hub.members):
            if member is not self:
                member.hear(body)

    def hear(self, body: bytes) -> None:
        """Take an announcement of another member."""
        for ears in self._ears:
            try:
                ears.heard(body)
            except Exception:
                logger.exception("listener failed", extra={"bus": "memory"})

    @property
    @override
    def health(self) -> BusHealth:
        return BusHealth("memory", up=True)

    @override
    async def __aenter__(self) -> Self:
        self._hub.members.append(self)
        return self

    @override
    async def __aexit__(self, *exc: object) -> None:
        self._hub.members.remove(self)
