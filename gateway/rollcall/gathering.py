"""Gathers no evidence beyond what the verdict itself needs: for a gateway without media workers, and for tests."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocols.rollcall import Check

if TYPE_CHECKING:
    from gateway.ports.media import Still
    from gateway.rollcall.records import PointRecord
    from protocols.command import RollCallAnswer


class NoGathering:
    """See `needs.Gathering`."""

    async def begin(self, point: "PointRecord", *, drill: bool) -> None:
        """Do nothing."""

    async def answered(self, point: "PointRecord", answer: "RollCallAnswer") -> None:
        """Do nothing."""

    async def seen(self, point: "PointRecord", still: "Still") -> None:
        """Do nothing."""

    async def read_back(self, _point: "PointRecord", _number: str) -> bool:
        """Read nothing."""
        return False

    async def end(self, _point: "PointRecord") -> Sequence[Check]:
        """Return no checks."""
        return ()

    async def broken_off(self, point: "PointRecord") -> None:
        """Do nothing."""


NO_GATHERING = NoGathering()
