"""What federation needs from other rooms; `gateway.app` supplies it."""

from typing import Protocol

from protocols.uplink import Frame, Receipt


class Below(Protocol):
    """The links room, which carries commands out or passes them on."""

    async def take_down(self, node: str, frame: Frame) -> Receipt:
        """Take a frame of the tier above; the receipt is true on return."""
        ...
