"""The `compiled` way of packets onto the wire: what a leg planned is carried out in C, for all legs of a run at once.

Packets that are not of a plan (joins, repetitions, fillers), connections by TCP and other ciphers go as in `batched`.
"""

import functools
import logging
import struct
from collections.abc import Callable, Mapping, Sequence

from typing_extensions import override

from gateway.adapters.media_embedded.compiled.library import LEG, MAX_TAIL, Library
from gateway.adapters.media_embedded.compiled.port import CompiledPort, sockaddr
from gateway.adapters.media_embedded.compiled.srtp import CompiledSrtp
from gateway.adapters.media_embedded.paths import BatchedPath
from gateway.adapters.media_embedded.rules.convoy import Fan, Member
from gateway.adapters.media_embedded.rules.line import Flow
from gateway.adapters.media_embedded.rules.ring import Planned
from gateway.adapters.media_embedded.rules.rows import ROW, Row, Rows
from gateway.adapters.media_embedded.rules.strand import Out, Portion
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.session import Session, Traffic
from gateway.adapters.media_embedded.srtp import MAX_PLAIN, Keys, Secured
from gateway.adapters.media_embedded.srtp_gcm import GCM, TAG, GcmSrtp, key_pair

logger = logging.getLogger(__name__)
MAX_ADDRESSES = 8192
"""Addresses whose bytes are remembered, and legs whose lanes are; then all are made anew."""
Told = tuple[int, Address | None, int, int, bytes, int, int]
"""The session's number, its address, timestamp step, payload type, tail, size and first byte of a leg's heads."""
_HEAD = struct.Struct("=qqd")
_BEGIN, _BEGIN_SIZE = _HEAD.pack, _HEAD.size
"""What changes from run to run of a leg: the beginning of LEG."""


class Table:
    """The packets of one run as the library reads them; `longest` and `octets` are of the payloads."""

    __slots__ = ("count", "longest", "octets", "packed", "rows")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        if type(rows) is Rows:  # it is spelled already
            self.count, self.longest, self.octets = rows.total, rows.longest, len(rows.payloads)
            self.packed = (rows.packed, rows.payloads, rows.total)
            return
        payloads = [row[3] for row in rows]
        at, packed = 0, []
        for number, marker, timestamp, payload in rows:
            packed.append(ROW.pack(number, timestamp, at, len(payload), marker))
            at += len(payload)
        self.count, self.longest, self.octets = len(rows), max(map(len, payloads)), at
        self.packed = (b"".join(packed), b"".join(payloads), len(payloads))


class Carriage:
    """A convoy's legs as the library reads them, by port; `rest` are members that must go another way.

    It is good for the same `members`, while their sessions have the same address, port and keys.
    """

    __slots__ = ("_sessions", "_states", "counters", "groups", "longest_head", "members", "rest")

    def __init__(
        self, members: Sequence[Member], sessions: Mapping[str, Session], spell: Callable[[Session, Member], bytes]
    ) -> None:
        self.members = members
        self.groups: dict[CompiledPort, tuple[list[bytes], list[int]]] = {}
        self.rest: list[int] = []
        self.counters: list[tuple[Traffic, Flow, int]] = []
        self.longest_head = max(member.head_size for member in members)
        self._sessions = [one for member in members if (one := sessions.get(member.owner)) is not None]
        self._states = self._look()
        for place, member in enumerate(members):
            session = sessions.get(member.owner)
            if session is None:
                continue
            leg = spell(session, member)
            if not leg or not isinstance(session.port, CompiledPort):
                self.rest.append(place)
                continue
            legs, places = self.groups.setdefault(session.port, ([], []))
            legs.append(leg)
            places.append(place)
            self.counters.append((session.traffic, session.line.sent, member.head_size + TAG))

    def _look(self) -> list[tuple[object, object, object]]:
        return [(session.address, session.port, session.srtp) for session in self._sessions]

    def good(self, members: Sequence[Member]) -> bool:
        """Tell whether it can be used once more."""
        return self.members is members and self._look() == self._states


class CompiledPath(BatchedPath):
    """Runs go to all their legs in one call. `segmenting` False never uses GSO."""

    name = "compiled"
    fans = True

    def __init__(self, library: Library, *, segmenting: bool = True) -> None:
        super().__init__(segmenting=segmenting)
        self._library = library
        self._addresses: dict[Address, bytes] = {}
        self._lanes: dict[int, tuple[Told, bytes]] = {}
        self._table: Table | None = None
        self._port: CompiledPort | None = None
        self._legs: list[bytes] = []
        self.port = functools.partial(CompiledPort, library)

    @override
    def secure(self, keys: Keys) -> Secured:
        if keys.profile not in GCM:
            return super().secure(keys)
        made = CompiledSrtp(*key_pair(keys), self._library)
        if made.number < 0:
            logger.error("no room for the keys of another session, it goes the way of batched")
            return GcmSrtp(*key_pair(keys))
        return made

    @override
    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        for item in out:
            if isinstance(item, Fan):
                self._fan(item, sessions)
            else:
                self._portion(item, sessions)
        self._carry_out()

    def _portion(self, item: Portion, sessions: Mapping[str, Session]) -> None:
        session = sessions.get(item[0])
        if session is not None and not self._plan(session, item[1], item[2]):
            self._carry_out()  # what was planned before goes before
            if isinstance(item[2], Planned):
                session.transport.late(item[2].note)
            super().send([item], sessions)
            if isinstance(session.srtp, CompiledSrtp) and session.line.counted:
                session.srtp.noted(session.line)

    def _fan(self, fan: Fan, sessions: Mapping[str, Session]) -> None:
        """Send a run to a convoy: legs that go alike have been spelled before, and nothing is done for each of them."""
        self._carry_out()
        convoy = fan.convoy
        carriage = convoy.carried
        if not isinstance(carriage, Carriage) or not carriage.good(fan.members):
            carriage = convoy.carried = Carriage(fan.members, sessions, self._spell)
        table = self._table
        if table is None or table.rows is not fan.rows:
            table = self._table = Table(fan.rows)
        if table.longest + carriage.longest_head > MAX_PLAIN:
            for portion in fan.plans():
                self._portion(portion, sessions)
            return
        for port, (legs, places) in carriage.groups.items():
            wides = fan.wides if len(places) == len(fan.wides) else [fan.wides[place] for place in places]
            full, unsent, self._segmenting = self._library.fan(
                port.descriptor, table.packed, b"".join(legs), wides, fan.at, segmenting=self._segmenting
            )
            port.full += full
            port.unsent += unsent
        count, octets = table.count, table.octets
        for traffic, flow, around in carriage.counters:
            traffic.packets_out += count
            flow.octets += octets + count * around
        if carriage.rest:
            plans = list(fan.plans())
            for place in carriage.rest:
                self._portion(plans[place], sessions)

    def _spell(self, session: Session, member: Member) -> bytes:
        """Spell a member's leg; empty where the library cannot take it."""
        srtp = session.srtp
        if type(srtp) is not CompiledSrtp:
            return b""
        told = (srtp.number, session.address, member.later, member.payload_type, member.tail, member.head_size,
                member.first)  # fmt: skip
        rest = self._lane(member.ssrc, told)[1]
        return _BEGIN(member.step, 0, 0.0) + rest if rest else b""

    def _plan(self, session: Session, ssrc: int, sent: Sequence[object]) -> bool:
        """Add a leg to the next call; False where it must go another way."""
        port, srtp, address = session.port, session.srtp, session.address
        if type(sent) is not Planned or type(srtp) is not CompiledSrtp or type(port) is not CompiledPort:
            return False
        rows, step, later, payload_type, wide, tail = sent.recipe
        table = self._table
        if table is None or table.rows is not rows or port is not self._port:
            self._carry_out()
            table = self._table = Table(rows)
            self._port = port
        size = sent.head_size
        lane = self._lanes.get(ssrc)
        told = (srtp.number, address, later, payload_type, tail, size, sent.first)
        if lane is None or lane[0] != told:
            lane = self._lane(ssrc, told)
        if table.longest + size > MAX_PLAIN or not lane[1]:
            return False
        self._legs.append(_BEGIN(step, wide, sent.at) + lane[1])
        count = table.count
        session.traffic.packets_out += count
        session.line.sent.octets += table.octets + count * (size + TAG)
        return True

    def _lane(self, ssrc: int, told: Told) -> tuple[Told, bytes]:
        """Spell what stays the same from run to run of a leg; nothing where the library cannot take it."""
        number, address, later, payload_type, tail, size, first = told
        to = b"" if address is None else self._addresses.get(address) or self._known(address)
        rest = b""
        if to and len(tail) <= MAX_TAIL:
            counted = size > 8 + len(tail)
            rest = LEG.pack(
                0, 0, 0.0, number, later & 0xFFFFFFFF, counted, first, payload_type, len(tail), len(to), tail, to
            )[_BEGIN_SIZE:]
        if len(self._lanes) >= MAX_ADDRESSES:
            self._lanes.clear()
        self._lanes[ssrc] = told, rest
        return told, rest

    def _known(self, address: Address) -> bytes:
        if len(self._addresses) >= MAX_ADDRESSES:
            self._addresses.clear()
        found = self._addresses[address] = sockaddr(address)
        return found

    def _carry_out(self) -> None:
        legs, self._legs = self._legs, []
        if not legs or self._table is None or self._port is None:
            return
        port = self._port
        full, unsent, self._segmenting = self._library.send(
            port.descriptor, self._table.packed, legs, segmenting=self._segmenting
        )
        port.full += full
        port.unsent += unsent
