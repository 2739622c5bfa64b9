"""What a leg sent lately, to answer NACKs: the very same bytes again, never others under the same number.

**One sequence number, one content** (SRTP's nonce rule): a number that was used is refused for anything new.
"""

Sent = tuple[int, bytes, bytes]
"""A packet of a leg: its number (the SRTP index: sequence number and rollovers), its header with extensions, the rest.

Header and rest stay apart until they are encrypted: the rest is the same object for every leg.
"""


class Ring:
    """Keeps the last `size` packets by their number; `size` is a power of two."""

    def __init__(self, size: int) -> None:
        self._mask = size - 1
        self._slots: list[Sent | None] = [None] * size
        self.highest: int | None = None

    def put(self, sent: Sent) -> bool:
        """Keep a packet; False (and nothing kept) if its number was used before or is too old to know."""
        number = sent[0]
        slot = self._slots[number & self._mask]
        if slot is not None and slot[0] >= number:
            return False
        if self.highest is not None and number <= self.highest - len(self._slots):
            return False
        self._slots[number & self._mask] = sent
        if self.highest is None or number > self.highest:
            self.highest = number
        return True

    def extend(self, sent: list[Sent]) -> None:
        """Keep packets of ascending numbers that are all higher than `highest`; not for any others."""
        slots, mask = self._slots, self._mask
        for packet in sent:
            slots[packet[0] & mask] = packet
        self.highest = sent[-1][0]

    def get(self, sequence: int) -> Sent | None:
        """Return the packet that last bore this 16-bit sequence number, if it is still here."""
        if self.highest is None:
            return None
        number = self.highest - ((self.highest - sequence) & 0xFFFF)
        slot = self._slots[number & self._mask]
        return slot if slot is not None and slot[0] == number else None

    def holes(self, begin: int, end: int) -> list[tuple[int, bytes]]:
        """Return the numbers in between that were never used, each with the head of the last one used before it."""
        found: list[tuple[int, bytes]] = []
        before: bytes | None = None
        for number in range(max(begin, end - len(self._slots)), end):
            slot = self._slots[number & self._mask]
            if slot is not None and slot[0] == number:
                before = slot[1]
            elif before is not None and (slot is None or slot[0] < number):
                found.append((number, before))
        return found

    def since(self, number: int) -> list[Sent]:
        """Return the packets from `number` on that are still here, in order."""
        return sorted(slot for slot in self._slots if slot is not None and slot[0] >= number)
