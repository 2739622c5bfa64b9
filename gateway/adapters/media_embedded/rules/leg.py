"""One outgoing track of one viewer: the picture may change its source, the viewer's packet stream never breaks.

**SSRC, sequence number and timestamp continue** over every change of source, and over a gap without one. A viewer
joins at the last key frame: the kept group of pictures is sent fast, its frames one millisecond apart in the
timestamps, so that no delay builds up at the viewer.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules import rtp, vp8
from gateway.adapters.media_embedded.rules.convoy import Convoy, Member
from gateway.adapters.media_embedded.rules.convoy import Way as Alike
from gateway.adapters.media_embedded.rules.gop import Gop
from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.repair import ASKED_AT_ONCE, TWICE_FROM, Allowance, Repeater, Rtx
from gateway.adapters.media_embedded.rules.ring import Planned, Recipe, Ring, Sent
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.run import Run
from gateway.adapters.media_embedded.rules.transport import Transport

VIDEO_RING, AUDIO_RING = 1024, 128
FIRST_BURST, BURST, BURST_EVERY_S = 32, 10, 0.002
"""A join sends 32 packets at once (a key frame), then 10 every 2 ms until it has caught up."""
SQUEEZED_MS = 1
AGAIN_WITHIN_S, AGAIN_EVERY_S = 3.0, 0.2
"""A viewer that asks for a key frame right after its join gets the join's packets again."""
LEAST_STEP_MS = 20
TIMESTAMPED, SSRC, COUNT = 8, 4, 2
"""Bytes of a header up to and with its timestamp, of what follows it, of the transport-wide number at the end."""
_new = tuple.__new__  # half the time of the class's own call, for every run of every leg
PADDING = b"\x01"
"""All that a probe carries."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the viewer negotiated for one track; `payload_types` by codec, `h264` also with its profile.

    `name` is the track's (see `description.Track`).
    `elements` are the header extensions that every packet bears; `transport_extension` 0 means none. Under
    `level_extension` (0: none) sound bears the loudness that its source told (RFC 6464).
    """

    kind: str
    ssrc: int
    payload_types: dict[str, int]
    elements: dict[int, bytes]
    first_sequence: int
    first_timestamp: int
    name: str = ""
    transport_extension: int = 0
    rtx: Rtx | None = None
    level_extension: int = 0


class Leg:
    """Feed `take` with every run of the track and call `due` every 2 ms while `catching_up`; send what they return.

    `starved` says that the leg waits for a key frame. A packet's number is its SRTP index: rollovers included.
    `transport` is the session's count of packets, where the viewer agreed to it.
    """

    def __init__(self, plan: Plan, owner: str, transport: Transport | None = None) -> None:
        self.plan = plan
        self.owner, self.ssrc = owner, plan.ssrc
        self._transport = transport if plan.transport_extension else None
        self._first, self._tail, self._pack = _packer(plan, counted=self._transport is not None)
        self._tails = {-1: self._tail}
        self._levelled = plan.level_extension > 0
        self._head_size = TIMESTAMPED + len(self._tail) + (0 if self._transport is None else COUNT)
        self.convoy: Convoy | None = None
        """With whom it goes; `settle` before anything else that changes it."""
        self._member: Member | None = None
        self._packets = self._octets = 0
        self.dropped: dict[str, int] = {}
        self.starved = plan.kind == "video"
        self.catching_up = False
        self._allowance = Allowance()
        self._repeater = None if plan.rtx is None else Repeater(plan.rtx, self._transport)
        self._make_run = _maker(self._first, self._pack, counted=self._transport is not None)
        self._ring = Ring(VIDEO_RING if plan.kind == "video" else AUDIO_RING, self._make_run)
        self._rate_ms = 90 if plan.kind == "video" else 48
        self._generation: tuple[int, int] | None = None
        self._begin = 0
        self._cursor = 0
        self._number = plan.first_sequence
        self._closed = self._number
        self._step = 0
        self._timestamp_step = 0
        self._newest_timestamp = plan.first_timestamp
        self._sent_at: float | None = None
        self._squeezed: dict[int, int] = {}
        self._picture_steps = (0, 0)
        self._live: tuple[int, tuple[int, str], int] | None = None
        self._last_vp8: bytes | None = None
        self._joined_at: float | None = None
        self._joined_number = 0
        self._again_at = 0.0

    def take(self, run: Run, gop: Gop, source: int, now: float) -> Sequence[Sent]:
        """Take packets of the source number `source`, all of them already added to `gop`; returns what to send now."""
        live = self._live
        if (
            live is not None and run.plain and live[0] == source and live[1] == run.kind
            and run.first_number + self._step >= self._number
            and (not self._squeezed or self._squeezed.keys().isdisjoint(run.stamps))
        ):  # fmt: skip
            return self._pass(run, live[2], now)
        return self._take_singly(run, gop, source, now)

    def _pass(self, run: Run, payload_type: int, now: float) -> Planned:
        """Take a plain run in steady state: the way of nearly all packets, so everything is at hand here."""
        rows, step, later, transport = run.rows, self._step, self._timestamp_step, self._transport
        if run.kind[1] == "vp8":
            if self._picture_steps != (0, 0):
                rows, malformed = run.moved(self._picture_steps)
                if malformed:
                    self._drop("malformed", malformed)
            self._last_vp8 = run.last_payload if rows is run.rows else rows[-1][3]
        tail = self._tail_of(run.loudness) if self._levelled else self._tail
        if transport is None:
            recipe = _new(Recipe, (rows, step, later, payload_type, 0, tail))
        else:
            recipe = _new(Recipe, (rows, step, later, payload_type, transport.next, tail))
            if transport.carried:
                transport.next += run.count
            else:
                transport.note(run.lengths, self._head_size, now)
        self._ring.extend(recipe, run.first_number + step, run.last_number + step)
        self._number = run.last_number + step + 1
        newest = (run.newest + later) & 0xFFFFFFFF
        if 0 < (newest - self._newest_timestamp) & 0xFFFFFFFF < 1 << 31:
            self._newest_timestamp = newest
        if self._squeezed and run.last_number > self._cursor + VIDEO_RING:
            self._squeezed = {}
        self._sent_at = now
        self._packets += run.count
        self._octets += run.octets
        return Planned(recipe, self._first, self._head_size, now, self._make_run)

    @property
    def packets(self) -> int:
        """Packets sent so far."""
        convoy, member = self.convoy, self._member
        return self._packets if convoy is None or member is None else self._packets + convoy.packets - member.packets

    @property
    def octets(self) -> int:
        """Bytes of payloads sent so far."""
        convoy, member = self.convoy, self._member
        return self._octets if convoy is None or member is None else self._octets + convoy.octets - member.octets

    def alike(self, run: Run, source: int) -> Alike | None:
        """Return with which legs it could go on from this run, which it just took by itself; None for none."""
        live = self._live
        if (
            live is None or live[0] != source or live[1] != run.kind or not run.plain or self._levelled
            or self.catching_up or self._number != run.last_number + self._step + 1
        ):  # fmt: skip
            return None
        return Alike(source, run.kind, self._picture_steps if run.kind[1] == "vp8" else (0, 0))

    def follow(self, convoy: Convoy, run: Run) -> bool:
        """Go on with those that are `alike`; False where one of them has seen a newer timestamp than the other."""
        newest = (self._newest_timestamp - self._timestamp_step) & 0xFFFFFFFF
        if not convoy.members:
            convoy.begin(run, newest)
        if self._live is None or convoy.newest != newest:
            return False
        self.convoy, self._member = convoy, Member(
            (self.owner, self.ssrc), (self._step, self._timestamp_step),
            (self._first, self._live[2], self._tail, self._head_size), self._transport, self._make_run,
        )  # fmt: skip
        convoy.enter(self._member, self._cursor + VIDEO_RING, self._squeezed)
        return True

    def settle(self) -> None:
        """Leave the convoy, if it is in one, and become what it would be if it had taken each run by itself."""
        convoy, member = self.convoy, self._member
        if convoy is None or member is None:
            return
        self._packets, self._octets = self.packets, self.octets
        self.convoy = self._member = None
        convoy.leave(member)
        seen = convoy.since(member)
        if not seen:
            return
        for passed, wide in seen:
            recipe = member.recipe(passed.rows, wide)
            self._ring.extend(recipe, passed.first + member.step, passed.last + member.step)
        last = seen[-1][0]
        self._number, self._sent_at = last.last + member.step + 1, last.at
        self._newest_timestamp = (convoy.newest + member.later) & 0xFFFFFFFF
        if convoy.way.kind[1] == "vp8":
            self._last_vp8 = last.rows[-1][3]
        if self._squeezed and last.last > self._cursor + VIDEO_RING:
            self._squeezed = {}

    def _take_singly(self, run: Run, gop: Gop, source: int, now: float) -> list[Sent]:
        out: list[Sent] = []
        for media in run.packets:
            if self._generation != (source, media.generation):
                self._generation = (source, media.generation)
                self._live = None
                self.catching_up = False
                self.starved = self.plan.kind == "video"
                if not self.starved:
                    self._align(media, now)
            if self.starved:
                return out + self.join(gop, source, now)  # the group has the rest of the run
            out += self._take_one(media, now)
        self._settle(run)
        return out

    def _settle(self, run: Run) -> None:
        """Note that what follows like this run can go the fast way."""
        codec = run.packets[-1].codec
        payload_type = self.payload_type(codec)
        if self._generation is None or self.catching_up or self.starved or payload_type is None:
            self._live = None
        else:
            source, generation = self._generation
            self._live = (source, (generation, codec), payload_type)

    def _take_one(self, media: Media, now: float) -> list[Sent]:
        if self._squeezed and media.number > self._cursor + VIDEO_RING:
            self._squeezed = {}
        if self.catching_up:
            if media.number >= self._cursor or media.number < self._begin:
                return []
        elif media.number < self._begin:
            self._drop("late")
            return []
        return self._emit(media, now)

    def join(self, gop: Gop, source: int, now: float) -> list[Sent]:
        """Begin at the last key frame, if there is one; returns the first packets."""
        self.settle()
        if self.plan.kind != "video" or not gop.packets:
            return []
        first = gop.packets[0]
        self._generation = (source, first.generation)
        closing = self._close_holes(now)
        self._align(first, now)
        self._live = None
        self.starved, self.catching_up = False, True
        self._cursor = first.number
        if self._joined_at is None:
            self._joined_at, self._joined_number = now, self._number
        return closing + self.due(gop, now, FIRST_BURST)

    def leave(self) -> None:
        """Turn from what it follows: it goes on with whatever it is given next, without a hole in its numbers."""
        self.settle()
        self._generation = self._live = self._joined_at = None
        self.catching_up, self.starved = False, self.plan.kind == "video"

    def _close_holes(self, now: float) -> list[Sent]:
        """Fill the numbers that will not come any more: what is lost of a former source no one can send again."""
        out: list[Sent] = []
        for number, before in self._ring.holes(self._closed, self._number):
            payload_type, timestamp = before[1] & 0x7F, int.from_bytes(before[4:8], "big")
            out += self._make(number, payload_type, timestamp, b"", now)
        self._closed = max(self._closed, self._number - 1)
        return out

    def _make(
        self, number: int, payload_type: int, timestamp: int, payload: bytes, now: float, loudness: int = -1
    ) -> list[Sent]:
        """Build a packet (a probe, if there is nothing in it) and keep it; none where its number was used before."""
        tail = self._tail_of(loudness) if self.plan.level_extension else self._tail
        parts = (self._first, payload_type, number & 0xFFFF, timestamp, tail)
        if self._transport is None:
            head = self._pack(*parts)
        else:
            head = self._pack(*parts, self._transport.next & 0xFFFF)
        if not payload:
            head, payload = bytes([head[0] | 0x20]) + head[1:], PADDING
        sent = (number, head, payload)
        if not self._ring.put(sent):
            return []
        if self._transport is not None:
            self._transport.note((len(payload),), len(head), now)
        self._packets += 1
        return [sent]

    def _tail_of(self, loudness: int) -> bytes:
        """Return what stands behind the timestamp of a sound of this loudness; always of one length."""
        tail = self._tails.get(loudness)
        if tail is None:
            tail = self._tails[loudness] = _tail(self.plan, loudness, counted=self._transport is not None)
        return tail

    def _align(self, first: Media, now: float) -> None:
        """Make the source's next packet follow on what was sent last."""
        self._begin = first.number
        self._step = self._number - first.number
        self._squeezed = {}
        if self._sent_at is not None:
            passed = max(LEAST_STEP_MS, int((now - self._sent_at) * 1000))
            self._newest_timestamp = (self._newest_timestamp + passed * self._rate_ms) & 0xFFFFFFFF
        self._timestamp_step = self._newest_timestamp - first.timestamp
        self._picture_steps = self._continue_pictures(first)

    def _continue_pictures(self, first: Media) -> tuple[int, int]:
        if first.codec != "vp8" or self._last_vp8 is None:
            return (0, 0)
        try:
            old, new = vp8.descriptor(self._last_vp8), vp8.descriptor(first.payload)
        except MalformedError:
            return (0, 0)
        level = 0
        if old.level_at is not None and new.level_at is not None:
            level = self._last_vp8[old.level_at] + 1 - first.payload[new.level_at]
        if old.picture_id_at is None or new.picture_id_at is None:
            return (0, level)
        return (old.picture_id + 1 - new.picture_id, level)

    def due(self, gop: Gop, now: float, limit: int = BURST) -> list[Sent]:
        """Send the next part of the kept group; the leg is live once it has reached its end."""
        if not self.catching_up:
            return []
        if not gop.packets or gop.packets[0].generation != (self._generation or (0, 0))[1]:
            self.catching_up, self.starved = False, True
            return []
        out: list[Sent] = []
        if gop.packets[0].number > self._cursor:
            out = self._close_holes(now)
            self._skip_to(gop.packets[0])
        at = gop.at(self._cursor)
        for media in gop.packets[at : at + limit]:
            out += self._emit(media, now, squeezed=True)
            self._cursor = media.number + 1
        if at + limit >= len(gop.packets):
            self._go_live(gop.packets[-1])
        return out

    def _skip_to(self, first: Media) -> None:
        """Go on at a newer key frame that came while catching up, without a hole in the numbers."""
        self._begin = self._cursor = first.number
        self._step = self._number - first.number

    def _go_live(self, last: Media) -> None:
        self.catching_up = False
        self._timestamp_step = self._squeezed.get(last.timestamp, self._newest_timestamp) - last.timestamp

    def _emit(self, media: Media, now: float, *, squeezed: bool = False) -> list[Sent]:
        payload_type = self.payload_type(media.codec)
        if payload_type is None:
            self._drop("codec_not_offered")
            return []
        number = media.number + self._step
        timestamp = self._place(media.timestamp, squeezed=squeezed)
        payload = media.payload
        if payload and media.codec == "vp8":
            payload = self._pictures(payload)
        marked = payload_type | (0x80 if media.marker else 0)
        sent = self._make(number, marked, timestamp, payload, now, media.loudness)
        if not sent:
            self._drop("repeated_number")
            return []
        self._number = max(self._number, number + 1)
        self._sent_at = now
        self._octets += len(payload)
        return sent

    def _pictures(self, payload: bytes) -> bytes:
        if self._picture_steps != (0, 0):
            try:
                payload = vp8.shifted(payload, *self._picture_steps)
            except MalformedError:
                self._drop("malformed")
        self._last_vp8 = payload
        return payload

    def _place(self, timestamp: int, *, squeezed: bool) -> int:
        """Return the outgoing timestamp; frames of the join's burst keep the place that they were given."""
        placed = self._squeezed.get(timestamp)
        if placed is not None:
            return placed
        if squeezed:
            step = SQUEEZED_MS * self._rate_ms if self._squeezed else 0
            placed = (self._newest_timestamp + step) & 0xFFFFFFFF
            self._squeezed[timestamp] = placed
        else:
            placed = (timestamp + self._timestamp_step) & 0xFFFFFFFF
        if 0 < (placed - self._newest_timestamp) & 0xFFFFFFFF < 1 << 31:
            self._newest_timestamp = placed
        return placed

    def payload_type(self, codec: str) -> int | None:
        """Return the viewer's number for a codec; H.264 of a profile that it did not offer goes as any H.264."""
        own = self.plan.payload_types
        return own.get(codec, own.get(codec.partition("/")[0]))

    def resend(
        self, sequences: tuple[int, ...], rtt_s: float | None, now: float, *, lost: float | None = None
    ) -> list[tuple[int, list[Sent]]]:
        """Answer a NACK: packets with the SSRC that they go under; what is too old or asked too often is counted.

        `lost` is the share of packets that the viewer's line loses, None where it is not known.
        """
        self.settle()
        plain: list[Sent] = []
        wrapped: list[Sent] = []
        for sequence in sequences[:ASKED_AT_ONCE]:
            sent = self._ring.get(sequence)
            if sent is None:
                self._drop("nack_unanswered")
            elif not self._allowance.grants(sent[0], self.packets, rtt_s, now):
                self._drop(self._allowance.refused)
            elif self._repeater is not None and (again := self._repeater.wrap(sent, now)) is not None:
                wrapped.append(again)
                twice = lost is not None and lost >= TWICE_FROM and self._allowance.spare()
                if twice and (again := self._repeater.wrap(sent, now)) is not None:
                    wrapped.append(again)
            else:
                plain.append(sent)
        repair_ssrc = 0 if self._repeater is None else self._repeater.ssrc
        return [(ssrc, sent) for ssrc, sent in ((self.plan.ssrc, plain), (repair_ssrc, wrapped)) if sent]

    def again(self, now: float) -> list[Sent]:
        """Repeat the join's packets, because the viewer could not read them yet; empty later than 3 s after it."""
        if self._joined_at is None or now - self._joined_at > AGAIN_WITHIN_S or now - self._again_at < AGAIN_EVERY_S:
            return []
        self.settle()
        self._again_at = now
        return self._ring.since(self._joined_number)

    def report(self, source: SenderInfo, heard_at: float, now: float) -> SenderInfo | None:
        """Translate the source's sender report, moved on to `now`; None while timestamps are squeezed."""
        if self.catching_up or self.starved or not self.packets:
            return None
        passed = now - heard_at
        ntp = (source.ntp + int(passed * (1 << 32))) & 0xFFFFFFFFFFFFFFFF
        timestamp = (source.timestamp + self._timestamp_step + int(passed * 1000 * self._rate_ms)) & 0xFFFFFFFF
        return SenderInfo(self.plan.ssrc, ntp, timestamp, self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF)

    def _drop(self, name: str, count: int = 1) -> None:
        self.dropped[name] = self.dropped.get(name, 0) + count


def _packer(plan: Plan, *, counted: bool) -> tuple[int, bytes, Callable[..., bytes]]:
    """Return the header's first byte, what never changes behind the timestamp, and what packs a whole header."""
    tail = _tail(plan, -1, counted=counted)
    layout = struct.Struct(f"!BBHI{len(tail)}s" + ("H" if counted else ""))
    return 0x90 if len(tail) > SSRC else 0x80, tail, layout.pack


def _maker(first: int, pack: Callable[..., bytes], *, counted: bool) -> Callable[[Recipe], list[Sent]]:
    """Return what makes the packets of a recipe: once to send them, and the very same ones again for who missed them.

    It knows nothing of the leg: a ring and its leg must not keep each other alive.
    """

    def plain(recipe: Recipe) -> list[Sent]:
        rows, step, later, pt, _, tail = recipe
        return [
            (n + step, pack(first, m | pt, n + step & 0xFFFF, t + later & 0xFFFFFFFF, tail), payload)
            for n, m, t, payload in rows
        ]

    def numbered(recipe: Recipe) -> list[Sent]:
        rows, step, later, pt, following, tail = recipe
        return [
            (n + step, pack(first, m | pt, n + step & 0xFFFF, t + later & 0xFFFFFFFF, tail, wide & 0xFFFF), payload)
            for wide, (n, m, t, payload) in enumerate(rows, following)
        ]

    return numbered if counted else plain


def _tail(plan: Plan, loudness: int, *, counted: bool) -> bytes:
    """Return SSRC and extensions. A loudness that nobody told is padding: equal lengths let packets go together."""
    elements = plan.elements
    if plan.level_extension:
        elements = elements | {plan.level_extension: bytes([max(0, loudness)])}
    block = rtp.counted_block(elements, plan.transport_extension) if counted else rtp.extension_block(elements)
    if plan.level_extension and loudness < 0:
        at = rtp.place_of(elements, plan.level_extension)
        block = block[:at] + bytes(2) + block[at + 2 :]
    return plan.ssrc.to_bytes(SSRC, "big") + block
