"""Identities: centres, nodes, cameras and event ids.

A centre is named by its GB/T 2260 division code. A gateway bears its centre's code, an agent adds a suffix
(`320623-box`). A camera belongs to a centre (`320623/room`). Event ids are ULIDs, so they sort by time of origin.
"""

import re
from typing import Annotated

from pydantic import StringConstraints

from protocols.errors import BadIdentityError

CENTRE_PATTERN = r"^[0-9]{6}$"
NODE_PATTERN = r"^[0-9]{6}(-[a-z0-9]{1,24})?$"
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
STREAM_PATTERN = r"^[0-9]{6}/[a-z0-9][a-z0-9_-]{0,63}$"
ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"

CentreCode = Annotated[str, StringConstraints(pattern=CENTRE_PATTERN)]
NodeId = Annotated[str, StringConstraints(pattern=NODE_PATTERN)]
CameraName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
StreamId = Annotated[str, StringConstraints(pattern=STREAM_PATTERN)]
Ulid = Annotated[str, StringConstraints(pattern=ULID_PATTERN)]

NATION = "000000"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NODE = re.compile(NODE_PATTERN)
_STREAM = re.compile(STREAM_PATTERN)


def centre_of(node: str) -> str:
    """Return the division code of the centre that `node` belongs to; raises BadIdentityError."""
    if not _NODE.fullmatch(node):
        raise BadIdentityError(f"{node!r} is not a node name; expected 320623 or 320623-box")
    return node[:6]


def is_gateway(node: str) -> bool:
    """Tell a gateway (named by a bare division code) from an agent (code and suffix)."""
    return len(node) == 6


def stream_of(centre: str, camera: str) -> str:
    """Join a centre and a camera name to the stream id `320623/room`; raises BadIdentityError."""
    stream = f"{centre}/{camera}"
    if not _STREAM.fullmatch(stream):
        raise BadIdentityError(f"{stream!r} is not a camera; expected 320623/room")
    return stream


def split_stream(stream: str) -> tuple[str, str]:
    """Split `320623/room` into centre and camera name; raises BadIdentityError."""
    if not _STREAM.fullmatch(stream):
        raise BadIdentityError(f"{stream!r} is not a camera; expected 320623/room")
    centre, _, name = stream.partition("/")
    return centre, name


def ulid(unix_ms: int, randomness: bytes) -> str:
    """Build a ULID from a Unix time in milliseconds and 10 random bytes.

    Source: the ULID specification (48 bits of time, 80 of randomness, Crockford base 32).
    """
    if len(randomness) != 10:
        raise AssertionError("a ULID needs exactly 10 random bytes")
    value = (unix_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(randomness, "big")
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def ulid_ms(text: str) -> int:
    """Return the Unix milliseconds inside a ULID; raises BadIdentityError on anything else."""
    if not re.match(ULID_PATTERN, text):
        raise BadIdentityError(f"{text!r} is not a ULID")
    value = 0
    for letter in text[:10]:
        value = value << 5 | _CROCKFORD.index(letter)
    return value
