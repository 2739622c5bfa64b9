"""One incoming track: codecs by payload type, RTX unwrapped, duplicates dropped, gaps asked for, reception reported.

**Every packet leaves once**: what is repeated (probes, retransmissions that were not needed) ends here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.adapters.media_embedded.rules import key_frames, level
from gateway.adapters.media_embedded.rules.cadence import Cadence
from gateway.adapters.media_embedded.rules.pin import Pin
from gateway.adapters.media_embedded.rules.rows import Steady
from gateway.adapters.media_embedded.rules.rtcp import Report, SenderInfo
from gateway.adapters.media_embedded.rules.rtp import Packet, Unwrapper

JUMP = 1000
"""A larger step of the sequence number is a new beginning, not a loss."""
WINDOW = 512
"""As many missing packets are remembered."""
FIRST_NACK_S, NEXT_NACK_S, SLOWEST_NACK_S, GIVE_UP_S = 0.01, 0.06, 0.4, 0.8
"""Reordering is given 10 ms; then NACKs repeat, as slowly as answers come, until one would come too late anyway."""
NACK_BATCH = 64


_new = tuple.__new__  # half the time of the class's own call, for every packet


class Media(NamedTuple):
    """One packet on its way to the legs. `number` never wraps in a `generation`; an empty payload is a probe.

    `codec` is `vp8`, `vp9`, `av1`, `h265`, `opus` or `h264/` and the first four digits of its profile-level-id.
    `loudness` is what the source told of it (RFC 6464, the byte as it came), -1 where it told nothing.
    """

    generation: int
    number: int
    codec: str
    marker: bool
    timestamp: int
    payload: bytes
    key: bool
    at: float
    loudness: int = -1


@dataclass(frozen=True, slots=True)
class Codec:
    """What a payload type means: `name` is as `Media.codec`, for H.264 with profile and constraints: `h264/42e0`."""

    name: str
    clock_rate: int


@dataclass(slots=True)
class Gap:
    """One missing packet: since when, when to ask next, first asked when, the timestamp of the packet before it."""

    since: float
    due: float
    timestamp: int
    asked: float | None = None


@dataclass(slots=True)
class Reception:
    """Counters of one track since its source came."""

    packets: int = 0
    octets: int = 0
    lost: int = 0
    frame_at: float | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, name: str) -> None:
        """Count a packet that goes no further."""
        self.dropped[name] = self.dropped.get(name, 0) + 1


class Ingest:
    """Feed `receive`; every 20 ms ask `given_up` for fillers and `missing` for NACKs; every second `report`."""

    def __init__(
        self,
        kind: str,
        codecs: dict[int, Codec],
        repairs: dict[int, int],
        announced: tuple[int, ...] = (),
        announced_repairs: tuple[int, ...] = (),
        level_extension: int = 0,
    ) -> None:
        """Take the negotiated payload types, those of RTX with the type they repair, and the SSRCs that SDP named.

        `level_extension` is the id under which packets tell their loudness (RFC 6464), 0 for none.
        """
        self.kind = kind
        self._codecs = codecs
        self._repairs = repairs
        self._repairers = frozenset(announced_repairs)
        self._pin = Pin(announced)
        self._level_extension = level_extension
        self._loudness = -1
        self.counters = Reception()
        self.cadence = Cadence()
        self.meter = level.Meter()
        self.codec: Codec | None = None
        self.ssrc: int | None = None
        self.generation = 0
        self.damaged = False
        self.last_at: float | None = None
        self.sender: tuple[SenderInfo, float] | None = None
        self._steady = -1
        self._starts_key_frame = key_frames.looked_for("", "")
        self._unwrap = Unwrapper(16)
        self._base = 0
        self._received = 0
        self._missing: dict[int, Gap] = {}
        self._given_up: list[Media] = []
        self._answer_s = NEXT_NACK_S
        self._newest = 0
        self._timestamp: int | None = None
        self._key_timestamp: int | None = None
        self._jitter = 0.0
        self._transit: float | None = None
        self._reported = (0, 0)

    def take(self, packets: Iterable[Packet], now: float) -> list[Media]:
        """Take decrypted packets in the order they came; returns those that go on."""
        out: list[Media] = []
        for packet in packets:
            last = self._unwrap.last
            if (
                last is not None and packet.sequence == last + 1 & 0xFFFF and packet.ssrc == self.ssrc
                and packet.payload_type == self._steady and packet.payload
            ):  # fmt: skip
                out.append(self._follow(packet, last + 1, now))
            elif (media := self.receive(packet, now)) is not None:
                out.append(media)
        return out

    def _follow(self, packet: Packet, index: int, now: float) -> Media:
        """Take the packet that was expected next, as nearly all are: what `receive` does, without its questions."""
        counters, payload, timestamp = self.counters, packet.payload, packet.timestamp
        counters.packets += 1
        counters.octets += len(payload)
        self._pin.heard(now)
        self.last_at = now
        if self._level_extension:
            self._hear(packet, now)
        self._measure(timestamp, now)
        self._unwrap.last = index
        self._newest = timestamp
        self._received += 1
        return self._media(index, packet, payload, now)

    def steady(self) -> tuple[int, int, int, str] | None:
        """Return what lets the next packets be taken by `follow`: SSRC, number before them, payload type, codec.

        None where they must be looked at one by one.
        """
        last, codec = self._unwrap.last, self.codec
        if last is None or codec is None or self.ssrc is None or self._level_extension:
            return None
        return self.ssrc, last, self._steady, codec.name

    def follow(self, steady: Steady, now: float) -> tuple[int, str]:
        """Take packets that follow on what `steady` said, none of them empty or the beginning of a key frame.

        It does what `take` does with each of them, and returns their generation and codec.
        """
        rows, counters, codec = steady.rows, self.counters, self.codec
        counters.packets += rows.total
        counters.octets += len(rows.payloads)
        self._pin.heard(now)
        self.last_at = now
        self._unwrap.last = rows.last
        self._received += rows.total
        if steady.marked or self.kind == "audio":
            counters.frame_at = now
        if steady.alike:
            self._newest = steady.newest
            self._measure(steady.newest, now)
            for _ in range(1, rows.total):  # they came at one moment: each is no step from the one before it
                self._jitter -= self._jitter / 16
            self._frame(steady.newest, now)
        else:
            for _, _, timestamp, _ in rows:
                self._newest = timestamp
                self._measure(timestamp, now)
                self._frame(timestamp, now)
        return self.generation, "" if codec is None else codec.name

    def _frame(self, timestamp: int, now: float) -> None:
        before = self._timestamp
        if timestamp != before and (before is None or (timestamp - before) & 0xFFFFFFFF < 1 << 31):
            self._timestamp = timestamp
            self.cadence.frame(now)

    def receive(self, packet: Packet, now: float) -> Media | None:
        """Take one decrypted packet; None where it goes no further (counted)."""
        self.counters.packets += 1
        self.counters.octets += len(packet.payload)
        repaired = self._repairs.get(packet.payload_type)
        if repaired is not None:
            if self._repairers and packet.ssrc not in self._repairers:
                self.counters.drop("foreign_ssrc")
                return None
            self.last_at = now
            return self._repair(packet, repaired, now)
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            self.counters.drop("unknown_payload_type")
            return None
        if not self._pin.takes(packet.ssrc, packet.sequence, now):
            self.counters.drop("foreign_ssrc")
            return None
        self.last_at = now
        if self._level_extension:
            self._hear(packet, now)
        if packet.ssrc != self.ssrc:
            self._begin(packet.ssrc)
        if codec is not self.codec:
            self._turn_to(codec)
        self._measure(packet.timestamp, now)
        self._steady = packet.payload_type
        return self._place(packet.sequence, packet, packet.payload, now)

    def _turn_to(self, codec: Codec) -> None:
        self.codec = codec
        self._starts_key_frame = key_frames.looked_for(self.kind, codec.name)

    def _hear(self, packet: Packet, now: float) -> None:
        told = packet.extensions.get(self._level_extension, b"")
        minus_dbov = level.read(told)
        self._loudness = -1 if minus_dbov is None else told[0]
        if minus_dbov is not None:
            self.meter.heard(minus_dbov, now)

    def _repair(self, packet: Packet, payload_type: int, now: float) -> Media | None:
        """Unwrap RTX (RFC 4588 section 4): the original number stands before the payload."""
        codec = self._codecs.get(payload_type)
        if len(packet.payload) < 2 or self.ssrc is None or codec is None:
            self.counters.drop("probe")
            return None
        original = int.from_bytes(packet.payload[:2], "big")
        if self._unwrap.last is not None and (original - self._unwrap.last) & 0xFFFF in range(1, 0x8000):
            self.counters.drop("repair_ahead")
            return None
        if codec is not self.codec:
            self._turn_to(codec)
        return self._place(original, packet, packet.payload[2:], now)

    def _begin(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.generation += 1
        self._unwrap = Unwrapper(16)
        self._missing.clear()
        self._given_up.clear()
        self._timestamp = self._transit = None
        self._received = 0
        self._reported = (0, 0)
        self.sender = None

    def _place(self, sequence: int, packet: Packet, payload: bytes, now: float) -> Media | None:
        before = self._unwrap.last
        if before is not None and JUMP < (sequence - before) & 0xFFFF < 0x10000 - JUMP:
            self.counters.drop("jump")
            self._begin(self.ssrc or 0)
            before = None
        index = self._unwrap.unwrap(sequence)
        earlier = self._newest
        if before is None:
            self._base, earlier = index, packet.timestamp
        elif index <= before:
            gap = self._missing.pop(index, None)
            if gap is None:
                self.counters.drop("duplicate")
                return None
            if gap.asked is not None:
                self._answer_s += (min(now - gap.asked, SLOWEST_NACK_S) - self._answer_s) / 8
            earlier = gap.timestamp
        else:
            self._note_gap(before, index, now)
        if not payload:  # some decoders die of a frame of nothing: it belongs to the one before it
            packet = packet._replace(timestamp=earlier, marker=False)
        elif before is None or index > before:
            self._newest = packet.timestamp
        self._received += 1
        return self._media(index, packet, payload, now)

    def _note_gap(self, before: int, index: int, now: float) -> None:
        for missing in range(before + 1, index):
            self._missing[missing] = Gap(now, now + FIRST_NACK_S, self._newest)
        while len(self._missing) > WINDOW:
            self._lose(next(iter(self._missing)), now)

    def _lose(self, index: int, now: float) -> None:
        gap = self._missing.pop(index)
        self.counters.lost += 1
        self.damaged = True
        if self.kind == "video" and self.codec is not None:
            self._given_up.append(
                Media(self.generation, index, self.codec.name, False, gap.timestamp, b"", False, now)  # noqa: FBT003 - positional: one is made per lost packet
            )

    def _media(self, index: int, packet: Packet, payload: bytes, now: float) -> Media:
        key = self._starts_key_frame(payload)
        timestamp, marker = packet.timestamp, packet.marker
        if payload and timestamp != self._timestamp:
            self._frame(timestamp, now)
        if marker or self.kind == "audio":
            self.counters.frame_at = now
        if key and timestamp != self._key_timestamp:
            self._key_timestamp = timestamp
            self.cadence.key_frame(now)
            self.damaged = False
        name = "" if self.codec is None else self.codec.name
        return _new(Media, (self.generation, index, name, marker, timestamp, payload, key, now, self._loudness))

    def _measure(self, timestamp: int, now: float) -> None:
        """Interarrival jitter in timestamp units (RFC 3550 appendix A.8)."""
        rate = 90000 if self.codec is None else self.codec.clock_rate
        transit = now * rate - timestamp
        if self._transit is not None:
            step = abs(transit - self._transit)
            if step < rate * 10:
                self._jitter += (step - self._jitter) / 16
        self._transit = transit

    @property
    def troubled(self) -> bool:
        """Whether `given_up` or `missing` have anything to say: with most tracks at most times they have not."""
        return bool(self._missing or self._given_up)

    def given_up(self) -> list[Media]:
        """Return fillers for video packets that will not come: viewers must not wait for their numbers for ever."""
        fillers, self._given_up = self._given_up, []
        return fillers

    def missing(self, now: float) -> list[int]:
        """Return 16-bit sequence numbers to ask for now; those that never came are counted as lost."""
        asked: list[int] = []
        pause = max(NEXT_NACK_S, 1.5 * self._answer_s)
        for index, gap in list(self._missing.items()):
            if now - gap.since > GIVE_UP_S:
                self._lose(index, now)
            elif gap.due <= now and self.kind == "video" and len(asked) < NACK_BATCH:
                gap.due = now + pause
                gap.asked = gap.asked or now
                asked.append(index)
        return [index & 0xFFFF for index in sorted(asked)]

    def heard(self, info: SenderInfo, now: float) -> bool:
        """Take a sender report; False if it is not of this track."""
        if info.ssrc != self.ssrc:
            return False
        self.sender = (info, now)
        return True

    def report(self, now: float) -> Report | None:
        """Return the report block for the publisher (RFC 3550 section 6.4.1); None before the first packet."""
        if self.ssrc is None or self._unwrap.last is None:
            return None
        expected = self._unwrap.last - self._base + 1
        lost = max(0, expected - self._received)
        spanned, lost_now = expected - self._reported[0], lost - self._reported[1]
        self._reported = (expected, lost)
        fraction = max(0, min(255, lost_now * 256 // spanned)) if spanned > 0 else 0
        last_sr = delay = 0
        if self.sender is not None:
            last_sr = self.sender[0].ntp >> 16 & 0xFFFFFFFF
            delay = min(int((now - self.sender[1]) * 65536), 0xFFFFFFFF)
        highest = (self._unwrap.last - 0x10000) & 0xFFFFFFFF
        return Report(self.ssrc, fraction, min(lost, 0x7FFFFF), highest, int(self._jitter) & 0xFFFFFFFF, last_sr, delay)
