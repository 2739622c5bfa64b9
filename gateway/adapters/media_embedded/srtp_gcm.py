"""SRTP of one session with AES-GCM (RFC 3711, RFC 7714) on `cryptography`: the `batched` way.

Senders number packets themselves (`rules/ring.py`: a number is an SRTP index, used once), so nothing is guessed on the
way out. On the way in rollovers and the replay window are kept for each SSRC, and only authentic packets move them.
"""

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.rtp import HEADER, Packet
from gateway.adapters.media_embedded.srtp import PROFILES, WINDOW, Keys, LongWay, SrtpError

GCM = frozenset({b"SRTP_AEAD_AES_128_GCM", b"SRTP_AEAD_AES_256_GCM"})
"""Profiles that this module speaks."""
TAG = 16
MAX_SOURCES = 256
"""As many SSRCs may one peer use: each has a window of its own, and none may be forgotten."""
ENCRYPTED = 1 << 31
"""The E flag before the 31 bits of an SRTCP index."""
_HEAD = struct.Struct("!BBHII").unpack_from
_WORD = struct.Struct("!I")
_RTP_KEY, _RTP_SALT, _RTCP_KEY, _RTCP_SALT = 0, 2, 3, 5
"""Labels of key derivation (RFC 3711 section 4.3)."""

Encrypt = Callable[[bytes, bytes, bytes], bytes]


class SessionKeys(NamedTuple):
    """Keys and salts of one direction."""

    key: bytes
    salt: int
    control_key: bytes
    control_salt: int


class Replay:
    """The highest index of one SSRC, and which of the last ones came."""

    __slots__ = ("highest", "seen")

    def __init__(self, first: int) -> None:
        self.highest = first
        self.seen = [-1] * WINDOW

    def index(self, sequence: int) -> int:
        """Guess the whole index from its low 16 bits: the one nearest to the highest (RFC 3711 section 3.3.1)."""
        guess = self.highest + ((sequence - self.highest + 0x8000) & 0xFFFF) - 0x8000
        return guess if guess >= 0 else guess + 0x10000

    def fresh(self, index: int) -> bool:
        """Tell whether this index may be taken: neither seen nor older than the window."""
        return index > self.highest or (index > self.highest - WINDOW and self.seen[index % WINDOW] != index)

    def take(self, index: int) -> None:
        """Note an authentic packet."""
        self.seen[index % WINDOW] = index
        if index > self.highest:  # noqa: PLR1730 - max() takes several times as long, and this is done for every packet
            self.highest = index


class GcmSrtp(LongWay):
    """Both directions of one session. Methods raise SrtpError and nothing else; see `srtp.Secured`."""

    def __init__(self, own: SessionKeys, their: SessionKeys) -> None:
        """Take what `session_keys` derived for sending and for receiving."""
        self._encrypt, self._decrypt = AESGCM(own.key).encrypt, AESGCM(their.key).decrypt
        self._encrypt_control = AESGCM(own.control_key).encrypt
        self._decrypt_control = AESGCM(their.control_key).decrypt
        self._own_salt, self._own_control_salt = own.salt, own.control_salt
        self._salt, self._control_salt = their.salt, their.control_salt
        self._sources: dict[int, Replay] = {}
        self._reporters: dict[int, Replay] = {}
        self._senders: dict[int, tuple[Encrypt, int]] = {}
        self._guessed: dict[int, Replay] = {}
        self._control: dict[int, int] = {}

    @classmethod
    def of(cls, keys: Keys) -> Self:
        """Derive the session keys of both directions."""
        return cls(*key_pair(keys))

    def sender(self, ssrc: int) -> tuple[Encrypt, int]:
        """Return what encrypts packets of an SSRC: `encrypt(nonce, payload, head)`, nonce = returned number ^ index.

        The caller answers for the nonce rule: one index, one content.
        """
        found = self._senders.get(ssrc)
        if found is None:
            found = self._senders[ssrc] = (self._encrypt, self._own_salt ^ ssrc << 48)
        return found

    def protect(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet whose index is the one nearest to the last packets' of its SSRC."""
        try:
            sequence, ssrc, at = _places(packet)
        except MalformedError as error:
            raise SrtpError("srtp") from error
        guessed = self._guessed.get(ssrc)
        if guessed is None:
            guessed = self._guessed[ssrc] = Replay(sequence)
        index = guessed.index(sequence)
        guessed.highest = max(index, guessed.highest)
        encrypt, base = self.sender(ssrc)
        return packet[:at] + encrypt((base ^ index).to_bytes(12, "big"), packet[at:], packet[:at])

    def read(self, waiting: Iterable[bytes], drop: Callable[[str], None]) -> list[Packet]:
        """Check, decrypt and parse RTP packets; what cannot be taken is counted with `drop`."""
        packets: list[Packet] = []
        sources, salt, decrypt, new = self._sources, self._salt, self._decrypt, tuple.__new__
        for data in waiting:
            try:
                first, second, sequence, timestamp, ssrc = _HEAD(data)
                at, block = HEADER, b""
                if first & 0x1F:
                    at, block = _rest_of_head(data, first)
                replay = sources.get(ssrc)
                index = sequence if replay is None else replay.index(sequence)
                if replay is not None and not replay.fresh(index):
                    drop("replay")
                    continue
                nonce = (salt ^ (ssrc << 48 | index)).to_bytes(12, "big")
                payload = decrypt(nonce, data[at:], data[:at])
                if replay is None:
                    replay = _begin(sources, ssrc, index)
                replay.take(index)
                if first & 0x20:
                    payload = _unpadded(payload)
            except InvalidTag:
                drop("spoofed")
            except SrtpError as error:
                drop(error.name)
            except (struct.error, MalformedError):
                drop("malformed")
            else:
                head = (second & 0x7F, second > 0x7F, sequence, timestamp, ssrc)
                packets.append(new(Packet, (*head, payload, block, 0.0)))
        return packets

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt an RTCP compound."""
        if len(packet) < 8:
            raise SrtpError("srtp")
        ssrc = int.from_bytes(packet[4:8], "big")
        index = self._control.get(ssrc, 0) + 1
        if index >= ENCRYPTED:
            raise SrtpError("srtp")
        self._control[ssrc] = index
        nonce = (self._own_control_salt ^ (ssrc << 48 | index)).to_bytes(12, "big")
        trailer = _WORD.pack(ENCRYPTED | index)
        return packet[:8] + self._encrypt_control(nonce, packet[8:], packet[:8] + trailer) + trailer

    @override
    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Check and decrypt an RTCP compound; one that is not encrypted is refused."""
        if len(packet) < 8 + TAG + 4:
            raise SrtpError("srtp")
        ssrc, trailer = int.from_bytes(packet[4:8], "big"), packet[-4:]
        word = int.from_bytes(trailer, "big")
        index = word & ~ENCRYPTED
        if word == index:
            raise SrtpError("srtp")
        replay = self._reporters.get(ssrc)
        if replay is not None and not replay.fresh(index):
            raise SrtpError("replay")
        nonce = (self._control_salt ^ (ssrc << 48 | index)).to_bytes(12, "big")
        try:
            plain = self._decrypt_control(nonce, packet[8:-4], packet[:8] + trailer)
        except InvalidTag as error:
            raise SrtpError("spoofed") from error
        (replay or _begin(self._reporters, ssrc, index)).take(index)
        return packet[:8] + plain


def key_pair(keys: Keys) -> tuple[SessionKeys, SessionKeys]:
    """Derive the session keys for sending and for receiving."""
    _, key, salt = PROFILES[keys.profile]
    return session_keys(keys.sending, key, salt), session_keys(keys.receiving, key, salt)


def session_keys(master: bytes, key: int, salt: int) -> SessionKeys:
    """Derive session keys from a master key and its salt, `key` and `salt` bytes long (RFC 3711 section 4.3)."""
    secret, random = master[:key], master[key : key + salt].ljust(14, b"\0")

    def derive(label: int, size: int) -> bytes:
        block = bytearray(random + b"\0\0")
        block[7] ^= label
        return Cipher(algorithms.AES(secret), modes.CTR(bytes(block))).encryptor().update(bytes(size))

    return SessionKeys(
        derive(_RTP_KEY, key),
        int.from_bytes(derive(_RTP_SALT, salt), "big"),
        derive(_RTCP_KEY, key),
        int.from_bytes(derive(_RTCP_SALT, salt), "big"),
    )


def _places(packet: bytes) -> tuple[int, int, int]:
    """Return sequence number, SSRC and where the payload begins."""
    if len(packet) < HEADER:
        raise MalformedError("shorter than an RTP header")
    first, _, sequence, _, ssrc = _HEAD(packet)
    return sequence, ssrc, _rest_of_head(packet, first)[0]


def _rest_of_head(data: bytes, first: int) -> tuple[int, bytes]:
    """Return where the payload begins, and the block of header extensions."""
    at = HEADER + 4 * (first & 15)
    if not first & 0x10:
        return _within(data, at), b""
    begin = at
    if at + 4 > len(data):
        raise MalformedError("header extension is cut off")
    at = _within(data, at + 4 + 4 * (data[at + 2] << 8 | data[at + 3]))
    return at, data[begin:at]


def _within(data: bytes, at: int) -> int:
    if at > len(data):
        raise MalformedError("the header is longer than the packet")
    return at


def _unpadded(payload: bytes) -> bytes:
    if not payload or not 0 < payload[-1] <= len(payload):
        raise MalformedError("padding longer than the payload")
    return payload[: -payload[-1]]


def _begin(sources: dict[int, Replay], ssrc: int, index: int) -> Replay:
    if len(sources) >= MAX_SOURCES:
        raise SrtpError("too_many_sources")
    found = sources[ssrc] = Replay(index)
    return found
