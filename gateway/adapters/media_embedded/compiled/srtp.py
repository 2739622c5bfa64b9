"""SRTP of one session whose packets are encrypted and decrypted in C; see `srtp_gcm` for what is the same."""

import struct
from collections.abc import Callable, Iterable, Sequence
from weakref import ref

from typing_extensions import override

from gateway.adapters.media_embedded.compiled.library import LONGEST, MAX_BATCH, NAMES, TAKEN, Library
from gateway.adapters.media_embedded.compiled.port import sockaddr
from gateway.adapters.media_embedded.rules.estimate import REORDERED
from gateway.adapters.media_embedded.rules.flight import Piece
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.line import Answer, Line
from gateway.adapters.media_embedded.rules.rows import Lane
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.stun import TCP, Address
from gateway.adapters.media_embedded.rules.transport_feedback import Run, TransportFeedback
from gateway.adapters.media_embedded.srtp import Checked, SrtpError
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
        self._heard_by: set[bytes] = set()
        self._settled: tuple[Address, Credentials] | None = None

    def __del__(self) -> None:
        for address in self._heard_by:
            self._library.unroute(self.number, address)
        self._library.close(self.number)

    @override
    def read(self, waiting: Iterable[bytes], drop: Callable[[str], None]) -> list[Packet]:
        datagrams = list(waiting)
        data, new = b"".join(datagrams), _new
        packets: list[Packet] = []
        plain, rows = self._library.read(self.number, data, [len(one) for one in datagrams])
        for stamp, ssrc, at, length, block, size, sequence, status, kind, marker, _ in rows:
            if status == TAKEN:
                payload, extensions = plain[at : at + length], data[block : block + size] if size else b""
                packets.append(new(Packet, (kind, marker == 1, sequence, stamp, ssrc, payload, extensions, 0.0)))
            else:
                drop(NAMES[status])
        return packets

    @override
    def ready(self, line: Line) -> None:
        line.judge(CompiledEstimator(self._library, self))

    @override
    def heard_by(self, addresses: Iterable[Address], line: Line) -> None:
        datagrams = [address for address in addresses if not address[0].startswith(TCP)]
        wanted = {raw for address in datagrams if (raw := sockaddr(address))}
        route, number, counted = self._library.route, self.number, line.counted
        for raw in self._heard_by - wanted:
            self._library.unroute(self.number, raw)
        kept = self._heard_by & wanted
        self._heard_by = kept | {raw for raw in wanted - kept if route(number, raw, counted=counted)}

    @override
    def heard(self) -> tuple[int, int, list[Answer]]:
        return self._library.heard(self.number)

    @override
    def consent(self, settled: tuple[Address, Credentials] | None) -> None:
        if settled == self._settled:
            return
        self._settled = settled
        address, user, password = b"", b"", b""
        if settled is not None and not settled[0][0].startswith(TCP) and (raw := sockaddr(settled[0])):
            address, user, password = raw, settled[1].ufrag.encode("latin1"), settled[1].password.encode()
        if not self._library.consent(self.number, address, user, password):
            self._library.consent(self.number, b"", b"", b"")

    @override
    def consented(self) -> Checked | None:
        count, at, nominated, priority = self._library.consented(self.number)
        if not count or self._settled is None:
            return None
        return self._settled[0], at, priority, nominated if nominated >= 0 else None

    @override
    def follow(self, place: int, lane: Lane) -> None:
        self._library.lane(self.number, place, lane)

    def noted(self, line: Line) -> None:
        """Take notes of packets that were sent beside plans."""
        if notes := noted(line.drain()):
            self._library.note(self.number, notes)

    @override
    def hear(self, packet: bytes, line: Line, now: float) -> bytes:
        if not line.counted or len(packet) > LONGEST:
            return self.unprotect_rtcp(packet)
        self.noted(line)
        found = self._library.feedback(self.number, packet, now)
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


class CompiledEstimator:
    """What a viewer's line carries, kept by the library beside the session's keys; see `rules/estimate.Estimator`.

    When the session's keys are gone, nothing is known.
    """

    def __init__(self, library: Library, session: CompiledSrtp) -> None:
        self._library, self._session = library, ref(session)
        self._flight = CompiledFlight(library, session)

    @property
    def fraction_lost(self) -> float | None:
        """See `Judge`."""
        session = self._session()
        share = -1.0 if session is None else self._library.estimate(session.number, 0.0)[1]
        return None if share < 0 else share

    def bitrate(self, now: float) -> int | None:
        """See `Judge`."""
        session = self._session()
        rate = -1.0 if session is None else self._library.estimate(session.number, now)[0]
        return None if rate < 0 else int(rate)

    def bounded(self, bitrate: int, now: float) -> None:
        """See `Judge`."""
        session = self._session()
        if session is not None:
            self._library.bounded(session.number, float(bitrate), now)

    def reported(self, fraction: float, sent_bps: int, now: float) -> None:
        """See `Judge`."""
        session = self._session()
        if session is not None:
            self._library.reported(session.number, fraction, float(sent_bps), now)

    def sent(self, first: int, at: float, lengths: Sequence[int], around: int = 0) -> None:
        """See `Judge`."""
        self._flight.sent(first, at, lengths, around)

    def feedback(self, told: TransportFeedback, now: float) -> None:
        """See `Judge`."""
        pieces = self._flight.told(told.base, told.runs)
        lost = self._flight.lost(REORDERED) if pieces else 0
        session = self._session()
        if session is not None:
            self._library.arrived(session.number, told.reference, pieces, lost, now)


def noted(batches: Iterable[tuple[int, float, Sequence[int], int]]) -> bytes:
    """Write down what was sent, as the library reads it; a batch is no longer than a plain run may be (`rules/run`)."""
    notes: list[bytes] = []
    for first, at, lengths, around in batches:
        count = len(lengths)
        notes += (_NOTE(first, at, count, around), _LENGTHS[count](*lengths))
    return b"".join(notes)
