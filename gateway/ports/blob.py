"""Port `blob`: content-addressed files such as roll-call stills.

A blob is named by the SHA-256 of its bytes, so evidence cannot be changed unnoticed.
"""

from typing import Protocol


class BlobStore(Protocol):
    """Durable once `put` returns. Names are 64 lower-case hex digits."""

    async def put(self, content: bytes) -> str:
        """Store and return the name; storing the same bytes twice is harmless. Raises SpoolFullError."""
        ...

    async def get(self, name: str) -> bytes:
        """Return the bytes, verified against the name. Raises NotFoundError, BadInputError on a changed file."""
        ...

    async def remove(self, name: str) -> None:
        """Forget a blob whose time is over; one that is not there is fine."""
        ...
