"""What a leg sent lately, to answer NACKs: the very same bytes again, never others under the same number.

**One sequence number, one content** (SRTP's nonce rule): a number that was used is refused for anything new.
"""


class Ring:
    """Keeps the last `size` datagrams by their unwrapped sequence number; `size` is a power of two."""

    def __init__(self, size: int) -> None:
        self._mask = size - 1
        self._slots: list[tuple[int, bytes, bytes] | None] = [None] * size
        self.highest: int | None = None

    def put(self, number: int, head: bytes, payload: bytes) -> bool:
        """Keep a datagram; False (and nothing kept) if its number was used before or is too old to know."""
        slot = self._slots[number & self._mask]
        if slot is not None and slot[0] >= number:
            return False
        if self.highest is not None and number <= self.highest - len(self._slots):
            return False
        self._slots[number & self._mask] = (number, head, payload)
        if self.highest is None or number > self.highest:
            self.highest = number
        return True

    def get(self, sequence: int) -> bytes | None:
        """Return the datagram that last bore this 16-bit sequence number, if it is still here."""
        if self.highest is None:
            return None
        number = self.highest - ((self.highest - sequence) & 0xFFFF)
        slot = self._slots[number & self._mask]
        return slot[1] + slot[2] if slot is not None and slot[0] == number else None

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

    def since(self, number: int) -> list[bytes]:
        """Return the datagrams from `number` on that are still here, in order."""
        kept = sorted(slot for slot in self._slots if slot is not None and slot[0] >= number)
        return [head + payload for _, head, payload in kept]
