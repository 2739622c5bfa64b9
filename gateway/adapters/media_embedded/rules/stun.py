"""STUN binding messages (RFC 8489) as far as ICE (RFC 8445) uses them: parse, check, build.

**A message counts only after its MESSAGE-INTEGRITY was checked** with the password of the user that it names.
"""

import hmac
import struct
import zlib
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from gateway.adapters.media_embedded.rules.malformed import MalformedError

COOKIE = 0x2112A442
REQUEST, INDICATION, SUCCESS, ERROR = 0x0001, 0x0011, 0x0101, 0x0111
MAPPED, USERNAME, INTEGRITY, ERROR_CODE, UNKNOWN = 0x0001, 0x0006, 0x0008, 0x0009, 0x000A
XOR_MAPPED, PRIORITY, USE_CANDIDATE = 0x0020, 0x0024, 0x0025
FINGERPRINT, CONTROLLED, CONTROLLING = 0x8028, 0x8029, 0x802A
UNDERSTOOD = frozenset({MAPPED, USERNAME, INTEGRITY, ERROR_CODE, UNKNOWN, XOR_MAPPED, PRIORITY, USE_CANDIDATE})
_FINGERPRINT_XOR = 0x5354554E
REASONS = {400: "Bad Request", 401: "Unauthenticated", 420: "Unknown Attribute", 487: "Role Conflict"}

Address = tuple[str, int]
"""Host and port of a peer; the host has `TCP` in front where the peer came by a connection (RFC 6544)."""
TCP = "tcp:"


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message. `integrity_at` is the offset of MESSAGE-INTEGRITY in `raw`, or None."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    integrity_at: int | None
    raw: bytes

    @property
    def user(self) -> str:
        """The part of USERNAME before the colon: the receiver's ufrag; empty if there is none."""
        return self.attributes.get(USERNAME, b"").split(b":")[0].decode("latin1")

    def unknown(self) -> list[int]:
        """Comprehension-required attributes that nobody here understands (they are answered with 420)."""
        return [kind for kind in self.attributes if kind < 0x8000 and kind not in UNDERSTOOD]

    def authentic(self, password: bytes) -> bool:
        """Check MESSAGE-INTEGRITY (RFC 8489 section 14.5), in constant time."""
        at = self.integrity_at
        if at is None:
            return False
        covered = self.raw[:2] + struct.pack("!H", at + 24 - 20) + self.raw[4:at]
        return hmac.compare_digest(hmac.digest(password, covered, "sha1"), self.raw[at + 4 : at + 24])

    @property
    def priority(self) -> int:
        """Value of PRIORITY, 0 where it is missing or not as it should be."""
        return int.from_bytes(value, "big") if len(value := self.attributes.get(PRIORITY, b"")) == 4 else 0

    def error_code(self) -> int | None:
        """Code of an error response, or None."""
        value = self.attributes.get(ERROR_CODE, b"")
        return (value[2] & 7) * 100 + value[3] if len(value) >= 4 else None


def parse(data: bytes) -> Message:
    """Parse a datagram; raises MalformedError. FINGERPRINT is checked where it is present."""
    if len(data) < 20:
        raise MalformedError("shorter than a STUN header")
    kind, length, cookie = struct.unpack_from("!HHI", data)
    if kind & 0xC000 or cookie != COOKIE or length & 3 or length + 20 != len(data):
        raise MalformedError("not a STUN header")
    attributes: dict[int, bytes] = {}
    integrity_at: int | None = None
    at = 20
    while at + 4 <= len(data):
        name, size = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            raise MalformedError("an attribute is longer than the message")
        if name == FINGERPRINT:
            _check_fingerprint(data, at, value)
        elif integrity_at is None:
            if name == INTEGRITY:
                if size != 20:
                    raise MalformedError("MESSAGE-INTEGRITY has not 20 bytes")
                integrity_at = at
            attributes.setdefault(name, value)
        at += 4 + size + (-size & 3)
    if at != len(data):
        raise MalformedError("bytes after the last attribute")
    return Message(kind, data[8:20], attributes, integrity_at, data)


def _check_fingerprint(data: bytes, at: int, value: bytes) -> None:
    if at + 8 != len(data) or value != struct.pack("!I", zlib.crc32(data[:at]) ^ _FINGERPRINT_XOR):
        raise MalformedError("FINGERPRINT does not fit")


def build(kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], password: bytes | None = None) -> bytes:
    """Build a message with FINGERPRINT, and with MESSAGE-INTEGRITY where a password is given."""
    body = b"".join(struct.pack("!HH", name, len(v)) + v + b"\0" * (-len(v) & 3) for name, v in attributes)
    if password is not None:
        head = struct.pack("!HHI", kind, len(body) + 24, COOKIE) + transaction
        body += struct.pack("!HH", INTEGRITY, 20) + hmac.digest(password, head + body, "sha1")
    head = struct.pack("!HHI", kind, len(body) + 8, COOKIE) + transaction
    return head + body + struct.pack("!HHI", FINGERPRINT, 4, zlib.crc32(head + body) ^ _FINGERPRINT_XOR)


def success(request: Message, source: Address, password: bytes) -> bytes:
    """Answer a binding request with the address that it came from."""
    return build(SUCCESS, request.transaction, [xor_mapped(source, request.transaction)], password)


def failure(request: Message, code: int, password: bytes | None = None) -> bytes:
    """Answer a request with an error; `password` only where the request was authentic (RFC 8489 section 9.1.3)."""
    reason = REASONS[code].encode()
    attributes = [(ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + reason)]
    if code == 420:
        attributes.append((UNKNOWN, b"".join(struct.pack("!H", name) for name in request.unknown()[:16])))
    return build(ERROR, request.transaction, attributes, password)


def check(
    transaction: bytes, users: tuple[str, str], password: bytes, *, priority: int, tie_breaker: int, nominate: bool
) -> bytes:
    """Build a controlling agent's connectivity check; `users` are the far and the own ufrag (RFC 8445 section 7.2)."""
    attributes = [
        (USERNAME, f"{users[0]}:{users[1]}".encode()),
        (PRIORITY, struct.pack("!I", priority)),
        (CONTROLLING, struct.pack("!Q", tie_breaker)),
    ]
    if nominate:
        attributes.append((USE_CANDIDATE, b""))
    return build(REQUEST, transaction, attributes, password)


def xor_mapped(source: Address, transaction: bytes) -> tuple[int, bytes]:
    """Build XOR-MAPPED-ADDRESS (RFC 8489 section 14.2)."""
    ip = ip_address(source[0].removeprefix(TCP))
    mask = struct.pack("!I", COOKIE) + transaction
    family = 2 if isinstance(ip, IPv6Address) else 1
    hidden = bytes(a ^ b for a, b in zip(ip.packed, mask, strict=False))
    return XOR_MAPPED, struct.pack("!BBH", 0, family, source[1] ^ (COOKIE >> 16)) + hidden
