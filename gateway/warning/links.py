"""Links by which a called person confirms: signed, short, worth nothing for anything else.

A link names one call and one person of its chain. Only a press of the button behind it confirms: programs that look at
links in messages fetch them, too.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocols.errors import NotFoundError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_TOKEN = re.compile(r"^(?P<call>[0-9A-Z]{26})(?P<step>[0-9d])(?P<mac>[A-Za-z0-9_-]{16})$")
_PURPOSE: Final = b"silian confirm link v1"
DOOR: Final = -1
"""Step of the neighbour who goes there."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link means."""

    call_id: str
    step: int


class ConfirmLinks:
    """Makes and reads tokens (96 bits of HMAC-SHA-256)."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = hmac.new(key.private_bytes_raw(), _PURPOSE, hashlib.sha256).digest()

    def token(self, call_id: str, step: int) -> str:
        """Return the token of one person."""
        head = f"{call_id}{'d' if step == DOOR else step}"
        return head + self._mac(head)

    def read(self, token: str) -> Link:
        """Return what a token means; raises NotFoundError for one that is not ours."""
        found = _TOKEN.fullmatch(token)
        if found is None or not hmac.compare_digest(self._mac(token[:27]), found["mac"]):
            raise NotFoundError("this link is not complete, or not ours")
        return Link(found["call"], DOOR if found["step"] == "d" else int(found["step"]))

    def _mac(self, head: str) -> str:
        return base64.urlsafe_b64encode(hmac.new(self._key, head.encode(), hashlib.sha256).digest()[:12]).decode()
