"""SRTP of one session through libsrtp: the `reference` way, slow and obviously right.

Never two contents under one (key, SSRC, index): legs number packets once (`rules/ring.py`); a repeated packet is
encrypted to the very same bytes again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import pylibsrtp
from pylibsrtp import Policy
from typing_extensions import override

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.line import Answer, Line
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.rows import Lane
from gateway.adapters.media_embedded.rules.stun import Address

WINDOW = 1024
"""Packets that may come late or be repeated before the replay check refuses them."""
MAX_PLAIN = 1356
"""Longest packet that the library takes; anything longer would not fit a datagram anyway."""

PROFILES: dict[bytes, tuple[int, int, int]] = {
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
"""Profiles in order of preference: library constant, key length, salt length (RFC 5764, RFC 7714)."""


class SrtpError(Exception):
    """A packet that cannot be taken; `name` is the counter: replay, spoofed or srtp."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Keys:
    """Master keys with salts, by direction, and the profile's name."""

    profile: bytes
    sending: bytes
    receiving: bytes


Checked = tuple[Address, float, int, float | None]
"""Consent checks that were answered: from where, when the last one came, its priority, when one last nominated."""


class Secured(Protocol):
    """SRTP of one session, both directions. What protects or unprotects one packet raises SrtpError alone."""

    def protect(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet."""

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt an RTCP compound."""

    def read(self, waiting: Iterable[bytes], drop: Callable[[str], None]) -> list[rtp.Packet]:
        """Check, decrypt and parse RTP packets; what cannot be taken is counted with `drop`."""

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Check and decrypt an RTCP compound."""

    def hear(self, packet: bytes, line: Line, now: float) -> bytes:
        """Check and decrypt an RTCP compound; what arrived may be told to the line at once, and nothing is left."""

    def ready(self, line: Line) -> None:
        """Note that from now on packets are sent over this line."""

    def heard_by(self, addresses: Iterable[Address], line: Line) -> None:
        """Note by which proved addresses the peer is heard; what it tells from there may be taken at once."""

    def heard(self) -> tuple[int, int, list[Answer]]:
        """Return how many datagrams and bytes were taken at once since the last call, and answers for the line."""

    def consent(self, settled: tuple[Address, Credentials] | None) -> None:
        """Note whose consent checks may be answered at once (`ice.LiteAgent.settled`)."""

    def consented(self) -> Checked | None:
        """Return what checks were answered at once since the last call; None for none."""

    def follow(self, place: int, lane: Lane) -> None:
        """Note what the next packet of the session's track at `place` looks like: what follows may come as `Steady`."""


class LongWay(ABC):
    """Reads feedback by the rules alone: nothing is told to the line at once."""

    @abstractmethod
    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """See `Secured`."""

    def hear(self, packet: bytes, line: Line, now: float) -> bytes:
        """See `Secured`."""
        del line, now
        return self.unprotect_rtcp(packet)

    def ready(self, line: Line) -> None:
        """See `Secured`; the line's own flight is good enough."""
        del line

    def heard_by(self, addresses: Iterable[Address], line: Line) -> None:
        """See `Secured`."""
        del addresses, line

    def heard(self) -> tuple[int, int, list[Answer]]:
        """See `Secured`."""
        return 0, 0, []

    def consent(self, settled: tuple[Address, Credentials] | None) -> None:
        """See `Secured`."""
        del settled

    def consented(self) -> Checked | None:
        """See `Secured`."""
        return None

    def follow(self, place: int, lane: Lane) -> None:
        """See `Secured`."""
        del place, lane


class Srtp(LongWay):
    """Both directions of one session. Methods raise SrtpError and nothing else."""

    def __init__(self, keys: Keys) -> None:
        constant = PROFILES[keys.profile][0]
        self._out = pylibsrtp.Session(_policy(keys.sending, Policy.SSRC_ANY_OUTBOUND, constant))
        self._in = pylibsrtp.Session(_policy(keys.receiving, Policy.SSRC_ANY_INBOUND, constant))

    def protect(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet."""
        try:
            return self._out.protect(packet)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpError(_name(error)) from error

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt an RTCP compound."""
        try:
            return self._out.protect_rtcp(packet)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpError(_name(error)) from error

    def unprotect(self, packet: bytes) -> bytes:
        """Check and decrypt an RTP packet."""
        try:
            return self._in.unprotect(packet)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpError(_name(error)) from error

    def read(self, waiting: Iterable[bytes], drop: Callable[[str], None]) -> list[rtp.Packet]:
        """See `Secured`."""
        packets: list[rtp.Packet] = []
        for data in waiting:
            try:
                packets.append(rtp.parse(self.unprotect(data)))
            except SrtpError as error:
                drop(error.name)
            except MalformedError:
                drop("malformed")
        return packets

    @override
    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Check and decrypt an RTCP compound."""
        try:
            return self._in.unprotect_rtcp(packet)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpError(_name(error)) from error


def _policy(key: bytes, direction: int, constant: int) -> Policy:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=constant)
    policy.allow_repeat_tx = True
    policy.window_size = WINDOW
    return policy


def _name(error: Exception) -> str:
    text = str(error)
    if "replay" in text:
        return "replay"
    return "spoofed" if "authentication" in text else "srtp"
