"""SRTP of one session whose packets are encrypted and decrypted in C; see `srtp_gcm` for what is the same."""

import struct
from collections.abc import Callable, Iterable, Sequence
from weakref import ref

from typing_extensions import override

from gateway.adapters.media_embedded.compiled.library import LONGEST, MAX_BATCH, NAMES, TAKEN, Heard, Library
from gateway.adapters.media_embedded.rules.estimate import REORDERED
from gateway.adapters.media_embedded.rules.flight import Piece
from gateway.adapters.media_embedded.rules.line import Line
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.transport_feedback import Run
from gateway.adapters.media_embedded.srtp import SrtpError
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp, SessionKeys

_new = tuple.__new__
_NOTE = struct.Struct("=qdHH").pack
_LENGTHS = [struct.Struct(f"={count}H").pack for count in range(MAX_BATCH + 1)]


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
        data, new = b"".join(datagrams), _new
        packets: list[Packet] = []
        plain, rows = self._library.read(self.number, data, [len(one) for one in datagrams])
        for stamp, ssrc, at, length, block, size, sequence, status, kind, marker in rows:
            if status == TAKEN:
                payload, extensions = plain[at : at + length], data[block : block + size] if size else b""
                packets.append(new(Packet, (kind, marker == 1, sequence, stamp, ssrc, payload, extensions)))
            else:
                drop(NAMES[status])
        return packets

    @override
    def ready(self, line: Line) -> None:
        line.fly(CompiledFlight(self._library, self))

    @override
    def hear(self, packet: bytes, line: Line, now: float) -> bytes:
        if not line.counted or len(packet) > LONGEST:
            return self.unprotect_rtcp(packet)
        found = self._library.feedback(self.number, noted(line.drain()), packet, REORDERED)
        if isinstance(found, Heard):
            line.arrived(*found, now)
            return b""
        if isinstance(found, int):
            raise SrtpError(NAMES[found])
        return found

    @override
    def unprotect_rtcp(self, packet: bytes) -> bytes:
        found = self._library.read_control(self.number, packet)
        if isinstance(found, int):
            raise SrtpError(NAMES[found])
        return found


class CompiledFlight:
    """What is under way to a viewer, kept by the library beside the session's keys; see `rules/flight.Flight`.

    When the session's keys are gone, nothing is under way.
    """

    def __init__(self, library: Library, session: CompiledSrtp) -> None:
        self._library, self._session = library, ref(session)
        self._notes: list[tuple[int, float, Sequence[int], int]] = []

    def sent(self, first: int, at: float, lengths: Sequence[int], around: int) -> None:
        """See `InFlight`."""
        self._notes.append((first, at, lengths, around))

    def told(self, base: int, runs: Sequence[Run]) -> list[Piece]:
        """See `InFlight`."""
        notes, self._notes = noted(self._notes), []
        session = self._session()
        return [] if session is None else self._library.told(session.number, notes, base, runs)

    def lost(self, reordered: int) -> int:
        """See `InFlight`."""
        session = self._session()
        return 0 if session is None else self._library.lost(session.number, reordered)


def noted(batches: Iterable[tuple[int, float, Sequence[int], int]]) -> bytes:
    """Write down what was sent, as the library reads it; a batch is no longer than a plain run may be (`rules/run`)."""
    notes: list[bytes] = []
    for first, at, lengths, around in batches:
        count = len(lengths)
        notes += (_NOTE(first, at, count, around), _LENGTHS[count](*lengths))
    return b"".join(notes)
