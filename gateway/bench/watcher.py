"""A viewer that decodes: reorders, asks for what is missing (NACK), for key frames (PLI), and counts decoded pictures.

It tells what browsers tell of their line: what came and when (transport-wide feedback), what was lost, and what the
round trip is measured by (RFC 3550 section 6.4). It holds no playout delay: a picture counts when it is decoded, so
what it shows as a freeze is one.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from gateway.adapters.media_embedded.rules import h264, rtcp, vp8
from gateway.adapters.media_embedded.rules.cadence import Cadence
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals
from gateway.adapters.media_embedded.srtp import SrtpError
from gateway.bench.peer import CNAME, Peer, Shop, transport_number

ASK_EVERY_S = 0.06
GIVE_UP_S = 0.6
"""A hole older than this is left behind, and a key frame asked for."""
KEY_FRAME_EVERY_S = 0.3
REPORT_EVERY_S = 1.0
FROZEN_S = 0.19
"""At 25 pictures a second the shortest pause that webrtc-stats calls a freeze: mean and 150 ms."""


class Watcher(Peer):
    """Feeds itself from its socket; call `tick_media` every 20 ms or so."""

    def __init__(self, shop: Shop, codec: str) -> None:
        super().__init__(shop, codec)
        self.frames = 0
        self.cadence = Cadence()
        self.shown_at = 0.0
        self.luma = 0.0
        self.on_frame: Callable[[], None] | None = None
        self._waiting: dict[int, tuple[int, bool, bytes]] = {}
        self._next: int | None = None
        self._highest = 0
        self._asked: dict[int, tuple[float, float]] = {}
        self._key_needed, self._key_asked_at = True, 0.0
        self._remote = 0
        self._first: int | None = None
        self._received = 0
        self._told = (0, 0)
        self._reported_at = 0.0
        self._sender: tuple[rtcp.SenderInfo, float] | None = None
        self._arrivals = Arrivals()
        self.on_rtcp = self._heard
        self._decoder: Any = None
        self._began = time.monotonic()

    @override
    def rtp(self, data: bytes, stamp_ns: int) -> None:
        if self.srtp is None or self.agreed is None:
            return
        try:
            plain = self.srtp.unprotect(data)
        except SrtpError:
            return
        now = time.monotonic()
        if (arrived := transport_number(plain, self.agreed.transport_id)) is not None:
            self._arrivals.add(arrived, now)
        number, timestamp, ssrc = struct.unpack_from("!HII", plain, 2)
        kind, marker = plain[1] & 127, plain[1] > 127
        payload = _payload(plain)
        if kind == self.agreed.repair_type and kind:
            if len(payload) < 3:
                return
            number, payload = struct.unpack_from("!H", payload)[0], payload[2:]
        else:
            self._remote = ssrc
            self._received += 1
        if self._next is None:
            self._next = self._highest = self._first = number
        index = self._highest + ((number - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if index < self._next:
            return
        self._waiting[index] = (timestamp, marker, payload)
        gap = index > self._highest + 1
        self._highest = max(self._highest, index)
        self._asked.pop(index, None)
        self._advance()
        if gap:
            self._ask(now)

    def _advance(self) -> None:
        """Decode what is whole from the next number on."""
        while self._next is not None and self._next in self._waiting:
            timestamp, parts, at = self._waiting[self._next][0], list[bytes](), self._next
            while at in self._waiting and self._waiting[at][0] == timestamp:
                parts.append(self._waiting[at][2])
                at += 1
                if self._waiting[at - 1][1]:
                    break
            # Whole with its marker, or where the next picture has begun.
            if not self._waiting[at - 1][1] and at not in self._waiting:
                return
            for index in range(self._next, at):
                del self._waiting[index]
            self._next = at
            self._decode(parts)

    def _decode(self, parts: list[bytes]) -> None:
        parts = [part for part in parts if part]
        if not parts:
            return
        rules = vp8 if self.codec == "VP8" else h264
        if self._key_needed and not rules.starts_key_frame(parts[0]):
            return
        try:
            unit = vp8.frame(parts) if self.codec == "VP8" else h264.annex_b(parts)
        except MalformedError:
            self._key_needed = True
            return
        self._key_needed = False
        if self._picture(unit):
            now = time.monotonic()
            self.frames += 1
            self.shown_at = now
            self.cadence.frame(now)
            if self.on_frame is not None:
                self.on_frame()

    def _picture(self, unit: bytes) -> bool:
        import av

        if self._decoder is None:
            self._decoder = av.CodecContext.create("vp8" if self.codec == "VP8" else "h264", "r")
            self._decoder.flags |= 0x80000  # AV_CODEC_FLAG_LOW_DELAY: H.264 too is shown at once
            self._decoder.thread_type, self._decoder.thread_count = "SLICE", 1
        try:
            found = self._decoder.decode(av.Packet(unit))
        except av.FFmpegError:
            self._key_needed = True
            return False
        if found:
            sample = bytes(found[-1].planes[0])[::1009]
            self.luma = sum(sample) / len(sample)
        return bool(found)

    def tick_media(self, now: float) -> None:
        """Ask again for what is missing, leave behind what does not come, ask for a key frame, tell of the line."""
        if self._next is None:
            return
        self._ask(now)
        if self._key_needed and now - self._key_asked_at > KEY_FRAME_EVERY_S and now - self._began > KEY_FRAME_EVERY_S:
            self._key_asked_at = now
            self.send_rtcp(self._head() + rtcp.picture_loss(self.ssrc, self._remote))
        if self._arrivals.due(now):
            for packet in self._arrivals.build(self.ssrc, self._remote):
                self.send_rtcp(self._head() + packet)
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            self.send_rtcp(self._head(self._report(now)))

    def _head(self, *reports: rtcp.Report) -> bytes:
        """Begin a compound."""
        return rtcp.receiver_report(rtcp.ReceiverInfo(self.ssrc, reports)) + rtcp.source_description(self.ssrc, CNAME)

    def _heard(self, items: list[rtcp.Feedback]) -> None:
        for item in items:
            if isinstance(item, rtcp.SenderInfo) and item.ssrc == self._remote:
                self._sender = (item, time.monotonic())

    def _report(self, now: float) -> rtcp.Report:
        expected = self._highest - (self._first or 0) + 1
        lost = max(0, expected - self._received)
        spanned, lost_now = expected - self._told[0], lost - self._told[1]
        self._told = (expected, lost)
        fraction = max(0, min(255, lost_now * 256 // spanned)) if spanned > 0 else 0
        last_sr = delay = 0
        if self._sender is not None:
            last_sr = self._sender[0].ntp >> 16 & 0xFFFFFFFF
            delay = int((now - self._sender[1]) * 65536)
        return rtcp.Report(self._remote, fraction, lost, self._highest & 0xFFFFFFFF, 0, last_sr, delay)

    def _ask(self, now: float) -> None:
        if self._next is None:
            return
        missing = [i for i in range(self._next, min(self._highest, self._next + 512)) if i not in self._waiting]
        wanted = []
        for index in missing:
            first, last = self._asked.get(index, (now, 0.0))
            if now - first > GIVE_UP_S:
                self._leave_behind()
                break
            if now - last >= ASK_EVERY_S:
                wanted.append(index & 0xFFFF)
                self._asked[index] = (first, now)
        if wanted:
            self.send_rtcp(self._head() + rtcp.nack(self.ssrc, self._remote, wanted))

    def _leave_behind(self) -> None:
        self._key_needed = True
        self._asked.clear()
        later = [index for index, (_, _, part) in self._waiting.items() if self._starts(part)]
        self._next = min(later, default=self._highest + 1)
        self._waiting = {index: kept for index, kept in self._waiting.items() if index >= self._next}
        self._advance()

    def _starts(self, part: bytes) -> bool:
        return vp8.starts_key_frame(part) if self.codec == "VP8" else h264.starts_key_frame(part)

    def frozen_s(self, now: float) -> float:
        """Return the seconds that the picture stood still so far, the present pause included."""
        pause = now - self.shown_at if self.shown_at else 0.0
        return self.cadence.freeze_s + (pause if pause > FROZEN_S else 0.0)


def _payload(plain: bytes) -> bytes:
    at = 12 + 4 * (plain[0] & 15)
    if plain[0] & 0x10:
        at += 4 + 4 * struct.unpack_from("!H", plain, at + 2)[0]
    end = len(plain) - plain[-1] if plain[0] & 0x20 else len(plain)
    return plain[at:end]
