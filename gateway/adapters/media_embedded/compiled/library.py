"""The one caller of the C code: its functions with types, and the buffers that it reads and writes.

Layouts stand here a second time, as `struct` formats; their sizes are compared when the library is loaded.
"""

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from gateway.adapters.media_embedded.compiled.build import CompiledError
from gateway.adapters.media_embedded.rules.flight import Piece
from gateway.adapters.media_embedded.rules.line import Answer
from gateway.adapters.media_embedded.rules.rows import ROW, Lane, Rows, Steady
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.transport_feedback import TICK_S, Run
from gateway.adapters.media_embedded.socket_port import Heard

CRYPTO = "libcrypto.so.3"
"""OpenSSL 3 of the system, which Python's own `ssl` stands on too."""
LONGEST = 2048
BATCH = 64
"""Datagrams that one system call takes."""
MAX_TAIL, ADDRESS = 64, 28
TAKEN = 0
NAMES = ("", "replay", "spoofed", "malformed", "too_many_sources", "srtp")
"""What is wrong with a packet, by its status."""

ARRIVAL = struct.Struct("=HHI28s")
PACKET = struct.Struct("=6IH3BxH")
LEG = struct.Struct(f"=qqdiIBBBBBx{MAX_TAIL}s{ADDRESS}s6x")
OUTCOME = struct.Struct("=4i")
READING = struct.Struct(f"=qd6iIHH4B{ADDRESS}s")
PIECE = struct.Struct("=d5q")
MAX_ANSWERS = 8
ANSWER = struct.Struct("=dIII4x")
CHECKED = struct.Struct("=qddI4x")
MAX_USER = MAX_PASSWORD = 256
HEARD = struct.Struct(f"=2qi4x{MAX_ANSWERS * ANSWER.size}s")
_LAYOUT = (
    ARRIVAL.size,
    PACKET.size,
    ROW.size,
    LEG.size,
    OUTCOME.size,
    PIECE.size,
    HEARD.size,
    READING.size,
    CHECKED.size,
    LONGEST,
)
MAX_LANES, MAX_BLOCK = 4, 64
LOOKS = {"": 0, "vp8": 1, "h264": 2}
"""Where key frames begin: of what the library can see it."""
MAX_BATCH = 128
_SPACE = 32 * LONGEST
_new = tuple.__new__

_int, _bytes, _size, _place = ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
_double = ctypes.c_double


def _buffer(size: int) -> Any:
    """Return room for a function's results; a slice of it is bytes, whatever typeshed says."""
    return ctypes.create_string_buffer(size)


class Library:
    """The loaded library. Buffers are shared: read what a call left before the next one."""

    def __init__(self, path: Path) -> None:
        """Load it and find the cipher; raises CompiledError."""
        try:
            # With the lock of the interpreter held: what the collector ends on another thread meets no call under way.
            loaded = ctypes.PyDLL(str(path))
            self._layout(loaded)
            bind = self._function(loaded, "packets_bind", _bytes)
            self._open = self._function(loaded, "packets_open", _bytes, _int)
            self._close = self._function(loaded, "packets_close", _int)
            self._receive = self._function(
                loaded, "packets_receive", _int, _place, _size, _place, _int, _double, *[_place] * 6
            )
            self._read = self._function(
                loaded, "packets_read", _int, _bytes, _size, _bytes, _int, _place, _size, _place
            )
            self._read_control = self._function(loaded, "packets_read_control", _int, _bytes, _int, _place, _size)
            self._send = self._function(
                loaded, "packets_send", _int, _bytes, _int, _bytes, _size, _bytes, _int, _bytes, _double, _place
            )
            self._told = self._function(
                loaded, "packets_told", _int, _bytes, _size, _int, _bytes, _int, _bytes, _int, _place, _int
            )
            self._lost = self._function(loaded, "packets_lost", _int, _int)
            self._bind_feedback(loaded)
        except (OSError, AttributeError) as error:
            raise CompiledError(f"{path.name} does not load: {error}") from error
        if not bind(CRYPTO.encode()):
            raise CompiledError(f"{CRYPTO} is not there; install OpenSSL 3 (libssl3)")
        self._datagrams = _buffer(BATCH * LONGEST)
        self._arrivals = _buffer(BATCH * ARRIVAL.size)
        self._plain = _buffer(_SPACE)
        self._packets = _buffer(BATCH * PACKET.size)
        self._outcome = _buffer(OUTCOME.size)
        self._pieces = _buffer(LONGEST * PIECE.size)
        self._flag, self._left = ctypes.c_int32(), (ctypes.c_int32 * 4)()
        self._flag_at, self._left_at = ctypes.addressof(self._flag), ctypes.addressof(self._left)
        self._media, self._read_packets = _buffer(BATCH * LONGEST), _buffer(BATCH * PACKET.size)
        self._readings, self._rows = _buffer(BATCH * READING.size), _buffer(BATCH * ROW.size)
        self._payloads = _buffer(BATCH * LONGEST)
        self._rates, self._found = (ctypes.c_double * 2)(), _buffer(HEARD.size)

    def _bind_feedback(self, loaded: ctypes.PyDLL) -> None:
        self._note = self._function(loaded, "packets_note", _int, _bytes, _size)
        self._feedback = self._function(loaded, "packets_feedback", _int, _bytes, _int, _place, _size, _double, _place)
        self._arrived = self._function(loaded, "packets_arrived", _int, _int, _bytes, _int, _int, _double)
        self._bounded = self._function(loaded, "packets_bounded", _int, _double, _double)
        self._reported = self._function(loaded, "packets_reported", _int, _double, _double, _double)
        self._estimate = self._function(loaded, "packets_estimate", _int, _double, _place)
        self._route = self._function(loaded, "packets_route", _int, _bytes, _int)
        self._unroute = self._function(loaded, "packets_unroute", _int, _bytes)
        self._heard = self._function(loaded, "packets_heard", _int, _place)
        self._consent = self._function(loaded, "packets_consent", _int, _bytes, _bytes, _int, _bytes, _int)
        self._consented = self._function(loaded, "packets_consented", _int, _place)
        self._lane = self._function(
            loaded, "packets_lane", _int, _int, ctypes.c_uint32, ctypes.c_int64, _int, _int, _int, _bytes, _int
        )

    @staticmethod
    def _function(loaded: ctypes.PyDLL, name: str, *arguments: Any) -> Callable[..., int]:
        function = loaded[name]
        function.argtypes, function.restype = arguments, _int
        return cast("Callable[..., int]", function)

    def _layout(self, loaded: ctypes.PyDLL) -> None:
        sizes = (ctypes.c_int32 * len(_LAYOUT))()
        count = loaded.packets_layout(sizes, len(_LAYOUT))
        if count != len(_LAYOUT) or tuple(sizes) != _LAYOUT:
            raise CompiledError(f"the library has other layouts than this code: {tuple(sizes)} for {_LAYOUT}")

    def open(self, keys: Sequence[tuple[bytes, int]]) -> int:
        """Begin a session with keys and salts for sending RTP, receiving RTP, receiving RTCP; -1 without room."""
        length = len(keys[0][0])
        if {len(key) for key, _ in keys} != {length}:
            raise ValueError("keys of one session are equally long")
        return self._open(b"".join(key + salt.to_bytes(12, "big") for key, salt in keys), length)

    def close(self, session: int) -> None:
        """End a session."""
        self._close(session)

    def receive(self, descriptor: int, now: float, *, reading: bool = False) -> int:
        """Take what waits at a socket, BATCH datagrams at most; returns how many or the negative errno.

        Reports and feedback by an address of `route` are done then; `arrivals` has the rest. With
        `reading` RTP of known peers is read, see `readings`.
        """
        return self._receive(
            descriptor, self._datagrams, len(self._datagrams), self._arrivals, BATCH, now,
            self._media if reading else None, self._read_packets, self._rows, self._payloads, self._readings,
            self._left_at,
        )  # fmt: skip

    def readings(self) -> Iterator[tuple[bytes, Heard]]:
        """Return the media that the last `receive` read, peer by peer, each with the sockaddr it came from."""
        peers = self._left[1]
        if not peers:
            return
        for (
            number, came, first, count, octets, wide, at, size, newest, width, longest, marked, lane, alike, apart,
            address,
        ) in READING.iter_unpack(self._readings[: peers * READING.size]):  # fmt: skip
            if lane:
                packed = self._rows[first * ROW.size : (first + count) * ROW.size]
                rows = Rows(packed, self._payloads[at : at + size], number, longest)
                moments = rows.moments(came) if apart else ((count, came),)
                steady = _new(Steady, (lane - 1, rows, wide, newest, marked == 1, alike == 1, moments))
                yield address[:width], _new(Heard, ([steady], [], octets, marked == 1, count))
            else:
                yield address[:width], self._packets_of(first, count, octets, came, marked=marked == 1)

    def _packets_of(self, first: int, count: int, octets: int, came: float, *, marked: bool) -> Heard:
        plain, data, new = self._media, self._datagrams, _new
        packets: list[Packet | Steady] = []
        wrong: list[str] = []
        add = packets.append
        rows = self._read_packets[first * PACKET.size : (first + count) * PACKET.size]
        for stamp, ssrc, at, length, block, width, sequence, status, kind, marker, later in PACKET.iter_unpack(rows):
            if status == TAKEN:
                extensions = data[block : block + width] if width else b""
                arrived = came + later * TICK_S
                payload = plain[at : at + length]
                add(new(Packet, (kind, marker == 1, sequence, stamp, ssrc, payload, extensions, arrived)))
            else:
                wrong.append(NAMES[status])
        return Heard(packets, wrong, octets, marked, len(packets))

    def lane(self, session: int, place: int, lane: Lane) -> bool:
        """Let media of a track that follows on be read as rows; False where the library cannot."""
        look = LOOKS.get(lane.look, -1)
        if look < 0 or len(lane.block) > MAX_BLOCK or place >= MAX_LANES:
            return False
        return bool(
            self._lane(
                session, place, lane.ssrc, lane.last, lane.payload_type, look, lane.number_at, lane.block,
                len(lane.block),
            )
        )  # fmt: skip

    def arrivals(self) -> Iterator[tuple[bytes, bytes]]:
        """Return the datagrams that `receive` left, each with the sockaddr it came from."""
        datagrams, left = self._datagrams, self._left[0]
        for length, size, place, address in ARRIVAL.iter_unpack(self._arrivals[: left * ARRIVAL.size]):
            yield datagrams[place * LONGEST : place * LONGEST + length], address[:size]

    def route(self, session: int, address: bytes, *, counted: bool = True) -> bool:
        """Hear a session by this sockaddr at once: its media, and where it is `counted` its reports and feedback.

        False where there is no room for it.
        """
        return bool(self._route(session, address.ljust(ADDRESS, b"\0"), counted))

    def unroute(self, session: int, address: bytes) -> bool:
        """Hear it by this sockaddr no longer; False where it was not."""
        return bool(self._unroute(session, address.ljust(ADDRESS, b"\0")))

    @property
    def failed(self) -> tuple[int, int]:
        """How many answers to consent checks the last `receive` found the buffer full for, or could not send."""
        return self._left[2], self._left[3]

    def consent(self, session: int, address: bytes, user: bytes, password: bytes) -> bool:
        """Answer consent checks from this sockaddr at once from now on; no user: none. False where it cannot."""
        to = address.ljust(ADDRESS, b"\0")
        return bool(self._consent(session, to, user, len(user), password, len(password)))

    def consented(self, session: int) -> tuple[int, float, float, int]:
        """Return of checks answered since the last call: how many, moment, last nomination (-1: none), priority."""
        self._consented(session, self._found)
        return CHECKED.unpack_from(self._found)

    def heard(self, session: int) -> tuple[int, int, list[Answer]]:
        """Return how many datagrams and bytes of a session were done at once since the last call, and its answers."""
        self._heard(session, self._found)
        packets, octets, count, answers = HEARD.unpack(self._found)
        return packets, octets, list(ANSWER.iter_unpack(answers[: count * ANSWER.size])) if count else []

    def read(self, session: int, data: bytes, lengths: Sequence[int]) -> tuple[Any, Iterator[tuple[int, ...]]]:
        """Decrypt RTP packets that stand one after the other; returns where their payloads lie, and PACKET's fields."""
        count = len(lengths)
        if len(data) > len(self._plain):
            self._plain = _buffer(len(data))
        if count * PACKET.size > len(self._packets):
            self._packets = _buffer(count * PACKET.size)
        packed = struct.pack(f"={count}H", *lengths)
        if not self._read(session, data, len(data), packed, count, self._plain, len(self._plain), self._packets):
            raise AssertionError("lengths add up to the data, and the session is open")
        return self._plain, PACKET.iter_unpack(self._packets[: count * PACKET.size])

    def read_control(self, session: int, data: bytes) -> bytes | int:
        """Decrypt an RTCP compound; returns it, or the status that says what is wrong."""
        if len(data) > len(self._plain):
            return len(NAMES) - 1
        length = self._read_control(session, data, len(data), self._plain, len(self._plain))
        return self._plain[:length] if length >= 0 else -length

    def send(
        self, descriptor: int, rows: tuple[bytes, bytes, int], legs: list[bytes], *, segmenting: bool
    ) -> tuple[int, int, bool]:
        """Send rows (ROW each, their payloads, how many) to legs (LEG each).

        Returns how many packets found the buffer full, how many could not be sent, and whether the kernel segments.
        """
        return self._sent(descriptor, rows, b"".join(legs), None, 0.0, segmenting=segmenting)

    def fan(
        self, descriptor: int, rows: tuple[bytes, bytes, int], legs: bytes, wides: Sequence[int], at: float, *,
        segmenting: bool,
    ) -> tuple[int, int, bool]:  # fmt: skip
        """Send as `send` does to legs that stand one after the other; `wides` and `at` stand for the legs' own."""
        spelled = struct.pack(f"={len(wides)}q", *wides)
        return self._sent(descriptor, rows, legs, spelled, at, segmenting=segmenting)

    def _sent(
        self, descriptor: int, rows: tuple[bytes, bytes, int], legs: bytes, wides: bytes | None, at: float, *,
        segmenting: bool,
    ) -> tuple[int, int, bool]:  # fmt: skip
        packed, payloads, count = rows
        outcome, legs_count = self._outcome, len(legs) // LEG.size
        OUTCOME.pack_into(outcome, 0, 0, 0, segmenting, 0)
        if not self._send(descriptor, packed, count, payloads, len(payloads), legs, legs_count, wides, at, outcome):
            raise AssertionError("rows lie in their payloads, and legs are of open sessions")
        full, unsent, still, _ = OUTCOME.unpack(outcome.raw)
        return full, unsent, bool(still)

    def told(self, session: int, notes: bytes, base: int, runs: Sequence[Run]) -> list[Piece]:
        """Take notes of what was sent (`flight.noted`), then runs of arrivals: see `rules/flight.Flight.told`."""
        heads = b"".join(struct.pack("=ii", offset, len(ticks)) for offset, ticks in runs)
        counts = sum(len(ticks) for _, ticks in runs)
        if counts * PIECE.size > len(self._pieces):
            self._pieces = _buffer(counts * PIECE.size)
        spelled = struct.pack(f"={counts}q", *(tick for _, ticks in runs for tick in ticks))
        room = len(self._pieces) // PIECE.size
        found = self._told(session, notes, len(notes), base, heads, len(runs), spelled, counts, self._pieces, room)
        if found < 0:
            raise AssertionError("runs fit their ticks, and the session is open")
        return list(PIECE.iter_unpack(self._pieces[: found * PIECE.size]))

    def lost(self, session: int, reordered: int) -> int:
        """Forget what later packets have overtaken: see `rules/flight.Flight.lost`."""
        return self._lost(session, reordered)

    def note(self, session: int, notes: bytes) -> None:
        """Take notes of what was sent beside plans (`srtp.noted`)."""
        if not self._note(session, notes, len(notes)):
            raise AssertionError("notes are whole, and the session is open")

    def feedback(self, session: int, data: bytes, now: float) -> bytes | int:
        """Take an RTCP compound: one of reports and feedback is done, another one returned, or a status."""
        length = self._feedback(session, data, len(data), self._plain, len(self._plain), now, self._flag_at)
        if length < 0:
            return -length
        return b"" if self._flag.value else bytes(self._plain[:length])

    def arrived(self, session: int, reference: int, pieces: Sequence[Piece], lost: int, now: float) -> None:
        """Tell the estimator what came: see `rules/estimate.Estimator.arrived`."""
        packed = b"".join(PIECE.pack(*piece) for piece in pieces)
        self._arrived(session, reference, packed, len(pieces), lost, now)

    def bounded(self, session: int, bitrate: float, now: float) -> None:
        """See `rules/estimate.Estimator.bounded`."""
        self._bounded(session, bitrate, now)

    def reported(self, session: int, fraction: float, sent_bps: float, now: float) -> None:
        """See `rules/estimate.Estimator.reported`."""
        self._reported(session, fraction, sent_bps, now)

    def estimate(self, session: int, now: float) -> tuple[float, float]:
        """Return bits a second and the share of lost packets, each negative where nothing was heard yet."""
        self._estimate(session, now, self._rates)
        return self._rates[0], self._rates[1]
