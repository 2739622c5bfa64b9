"""SRTP of one session whose packets are encrypted and decrypted in C; see `srtp_gcm` for what is the same."""

from collections.abc import Callable, Iterable

from typing_extensions import override

from gateway.adapters.media_embedded.compiled.library import NAMES, TAKEN, Library
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.srtp import SrtpError
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp, SessionKeys

_new = tuple.__new__


class CompiledSrtp(GcmSrtp):
    """Both directions of one session. `number` names it to the library, -1 where that has no room for it."""

    def __init__(self, own: SessionKeys, their: SessionKeys, library: Library) -> None:
        super().__init__(own, their)
        self._library = library
        self.number = library.open(
            [(own.key, own.salt), (their.key, their.salt), (their.control_key, their.control_salt)]
        )

    def __del__(self) -> None:
        self._library.close(self.number)

    @override
    def read(self, waiting: Iterable[bytes], drop: Callable[[str], None]) -> list[Packet]:
        datagrams = list(waiting)
        data, plain, new = b"".join(datagrams), self._library.plain, _new
        packets: list[Packet] = []
        for stamp, ssrc, at, length, block, size, sequence, status, kind, marker in self._library.read(
            self.number, data, [len(one) for one in datagrams]
        ):
            if status == TAKEN:
                payload, extensions = plain(at, at + length), data[block : block + size] if size else b""
                packets.append(new(Packet, (kind, marker == 1, sequence, stamp, ssrc, payload, extensions)))
            else:
                drop(NAMES[status])
        return packets

    @override
    def unprotect_rtcp(self, packet: bytes) -> bytes:
        found = self._library.read_control(self.number, packet)
        if isinstance(found, int):
            raise SrtpError(NAMES[found])
        return found
