"""Media that is read as rows goes the way of single packets: the same datagrams, counters, rings, groups, feedback."""

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded import moment, session
from gateway.adapters.media_embedded.compiled.library import MAX_BLOCK, MAX_LANES
from gateway.adapters.media_embedded.compiled.path import CompiledPath
from gateway.adapters.media_embedded.compiled.port import SO_TIMESTAMPNS
from gateway.adapters.media_embedded.hub import Hub
from gateway.adapters.media_embedded.paths import BatchedPath, PacketPath
from gateway.adapters.media_embedded.rules import rtcp, rtp
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ice import Bound, Credentials, Selected
from gateway.adapters.media_embedded.rules.ingest import Codec
from gateway.adapters.media_embedded.rules.rows import Lane
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.srtp import Keys
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp
from gateway.adapters.media_embedded.wire import Open
from gateway.ports.media import SessionKind
from tests.unit.gateway.adapters.media_embedded.compiled.test_flight import LENGTH, LIBRARY, PROFILE

VIDEO, REPAIR, AUDIO = 1000, 1001, 2000
VIEWERS = 3
CLOCK = {"now": 100.0}
TICK_S, LATE_S = 0.00025, 0.08


def opened(hub: Hub, port: object, name: str, kind: SessionKind, tracks: tuple[Track, ...]) -> "End":
    """Bring a session up whose far end is a socket here."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind(("127.0.0.1", 0))
    ear.settimeout(0)
    hub.open(Open(name, kind, "320623/room", Credentials(name, "p"), Credentials("r", "q"), "", tracks, 0.0), port)
    made = hub.sessions[name]
    made._begin_dtls = lambda: None
    made._perform([Bound(ear.getsockname()), Selected(ear.getsockname())])
    number = len(hub.sessions).to_bytes(2, "big")
    one, other = number.ljust(LENGTH, b"\1"), number.ljust(LENGTH, b"\2")
    made.srtp = hub._path.secure(Keys(PROFILE, one, other))
    made.srtp.ready(made.line)
    made._tell_addresses()
    hub.up(made)
    return End(made, ear, GcmSrtp.of(Keys(PROFILE, other, one)))


class End:
    """The far end of a session."""

    def __init__(self, own: Session, ear: socket.socket, srtp: GcmSrtp) -> None:
        self.session, self.ear, self.srtp = own, ear, srtp
        self.last = 0

    def heard(self) -> list[bytes]:
        """Return what came, as it came."""
        found = []
        while True:
            try:
                data = self.ear.recv(4096)
            except BlockingIOError:
                return found
            found.append(data)
            if not rtp.is_rtcp(data):
                self.last = int.from_bytes(data[2:4], "big")


def stream_of(data: bytes) -> tuple[bool, bytes]:
    """Name the stream of a datagram: its own order counts, how sound and pictures lie between one another does not."""
    return (True, data[4:8]) if rtp.is_rtcp(data) else (False, data[8:12])


class House:
    """A publisher with picture and sound, and viewers; a socket in between, which is emptied when it is told to."""

    def __init__(self, path: PacketPath, codec: str, *, counted: bool, stamped: bool = False) -> None:
        self.hub = Hub(None, path, lambda _: None)  # None: nobody shakes hands here
        self.port = path.port("127.0.0.1", 0, self.hub.receive, self.hub.drained)
        self.port.read = self.hub.read
        if not stamped:  # else what this machine takes from sending to reading would be seen
            self.port._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 0)
        self.codec, self.counted = codec, counted
        codecs = {96: Codec("vp8" if codec == "vp8" else "h264/42e0", 90000)}
        wide = 3 if counted else 0
        video = Track("video", "0", 1, codecs, {97: 96}, 1, (VIDEO,), (REPAIR,), "main", 0, {}, wide)
        audio = Track("audio", "1", 1, {111: Codec("opus", 48000)}, {}, 2, (AUDIO,), (), "audio", 0, {}, wide)
        self.camera = opened(self.hub, self.port, "camera", SessionKind.WHIP, (video, audio))
        self.viewers = []
        for number in range(VIEWERS):
            picture = Track("video", "0", 1, codecs, {97: 96}, 10 * number + 11, (), (), "video/0", 10 * number + 12,
                            {96: 97}, wide)  # fmt: skip
            sound = Track("audio", "1", 1, {111: Codec("opus", 48000)}, {}, 10 * number + 13, (), (), "audio/0", 0, {},
                          wide)  # fmt: skip
            tracks = (picture, sound) if number else (picture,)
            self.viewers.append(opened(self.hub, self.port, f"viewer{number}", SessionKind.WHEP, tracks))
        self.hub._ticker.cancel()
        self.numbers, self.wide, self.stamp, self.sent = {VIDEO: 65500, REPAIR: 9, AUDIO: 70}, 65520, 0, {}

    def packet(self, ssrc: int, payload_type: int, payload: bytes, *, marker: bool = False, step: int = 1) -> bytes:
        """Make the publisher's next packet."""
        self.numbers[ssrc] += step
        self.wide += 1
        number = self.numbers[ssrc] & 0xFFFF
        elements = {1: b"1" if ssrc == AUDIO else b"0"}
        if self.counted:
            elements |= {3: struct.pack("!H", self.wide & 0xFFFF)}
        head = rtp.header(payload_type, number, self.stamp, ssrc, marker=marker, block=rtp.extension_block(elements))
        self.sent[ssrc, number] = payload
        return self.camera.srtp.protect(head + payload)

    def frame(self, sizes: list[int], head: bytes, *, key: bool = False, lost: int = -1, ended: bool = True) -> None:
        """Send a picture; `head` begins each payload behind what says whether it begins a key frame."""
        self.stamp += 3600
        for place, size in enumerate(sizes):
            if self.codec == "vp8":
                begin = (b"\x90\x80" if place == 0 else b"\x80\x80") + bytes([self.stamp // 3600 & 0x7F, not key])
            else:
                begin = b"\x65" if key else b"\x41"
            body = begin + (b"" if key else head) + bytes(size)
            data = self.packet(VIDEO, 96, body, marker=ended and place == len(sizes) - 1)
            if place != lost:
                self.camera.ear.sendto(data, ("127.0.0.1", self.port.number))

    def step(self, action: str, sizes: list[int], head: bytes) -> None:
        """Do one thing of a script."""
        to = ("127.0.0.1", self.port.number)
        match action:
            case "key" | "delta":
                self.frame(sizes, head, key=action == "key")
            case "part":
                self.frame(sizes, head, ended=False)
            case "lose":
                self.frame(sizes, head, lost=len(sizes) // 2)
            case "strange":  # what stands behind is read, whatever it is
                self.stamp += 3600
                self.camera.ear.sendto(self.packet(VIDEO, 96, head or b"x", marker=True), to)
            case "empty":
                self.camera.ear.sendto(self.packet(VIDEO, 96, b"", marker=False), to)
            case "other":
                self.camera.ear.sendto(self.packet(VIDEO, 99, b"of a type that nobody knows"), to)
            case "sound":
                self.camera.ear.sendto(self.packet(AUDIO, 111, b"sound" + head), to)
            case "repair":
                number = self.numbers[VIDEO] - 1 - len(sizes) & 0xFFFF
                body = struct.pack("!H", number) + self.sent.get((VIDEO, number), b"?")
                self.camera.ear.sendto(self.packet(REPAIR, 97, body), to)
            case "late":
                one, two = (self.packet(VIDEO, 96, b"\x80\x80\x01" + bytes(9)) for _ in range(2))
                for data in (two, one, one):
                    self.camera.ear.sendto(data, to)
            case "forged":
                data = self.packet(VIDEO, 96, b"\x80\x80\x01" + bytes(9), step=0)
                self.camera.ear.sendto(data[:-1] + bytes([data[-1] ^ 1]), to)
            case "nack":
                for viewer in self.viewers:
                    asked = [viewer.last - n & 0xFFFF for n in range(0, 40, 3)]
                    said = rtcp.receiver_report(rtcp.ReceiverInfo(1, ()))
                    said += rtcp.nack(1, viewer.session.legs[0].plan.ssrc, asked)
                    viewer.ear.sendto(viewer.srtp.protect_rtcp(said), to)
            case "join":
                self.hub.again(self.viewers[-1].session)

    def take(self) -> list[list[bytes]]:
        """Empty the socket, let time pass, and return what everybody heard."""
        intake = self.hub._intake
        self.port._drain()
        while intake._inboxes:
            intake._turn()
        self.port.look()
        self.port.resume()
        self.hub._pace()
        self.hub._tick()
        return [sorted(end.heard(), key=stream_of) for end in (self.camera, *self.viewers)]

    def state(self) -> dict[str, object]:
        """Return all that decides what comes next, and what is told of what was."""
        stream = self.hub.streams["320623/room"]
        found: dict[str, object] = {"dropped": dict(self.hub.dropped)}
        for name, strand in stream.strands.items():
            ingest = strand.ingest
            if ingest is None:
                continue
            own = {key: value for key, value in vars(ingest).items() if key not in APART}
            found[name] = own | {"last": ingest._unwrap.last, "cadence": vars(ingest.cadence)}
            found[f"{name} group"] = (strand.gop.packets, strand.gop.key_frame(), strand.gop._bytes)
        for end in (self.camera, *self.viewers):
            own = end.session
            found[own.spec.session] = (own.traffic, own.line.received.octets, own.line.sent.octets)
            for leg in own.legs:
                leg.settle()
                counts = (leg.packets, leg.octets, leg.dropped, leg._number, leg._newest_timestamp, leg._last_vp8)
                found[f"{own.spec.session} {leg.plan.name}"] = (leg._ring.since(0), counts)
        arrivals = self.camera.session.arrivals
        found["arrivals"] = None if arrivals is None else (arrivals.waiting, arrivals._unwrap.last, arrivals._since)
        return found

    def close(self) -> None:
        """End all."""
        if self.hub._ticker is not None:
            self.hub._ticker.cancel()
        self.port.close()
        for end in (self.camera, *self.viewers):
            end.ear.close()


APART = {"_unwrap", "cadence", "_pin", "meter", "_starts_key_frame", "_codecs"}


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "now", lambda: CLOCK["now"])


def random_bits() -> Iterator[int]:
    return itertools.count(30_000, 7)


SIZES = st.lists(st.sampled_from([1, 300, 1100, 1100, 1101, 1290]), min_size=1, max_size=40)
HEADS = st.binary(max_size=9)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["delta"] * 8 + ["strange"] * 2 + ["key", "part", "lose", "empty", "other", "sound", "repair",
                        "late", "forged", "nack", "join"]),
        SIZES, HEADS, st.booleans(),
    ),
    max_size=25,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(STEPS, st.sampled_from(["vp8", "h264"]), st.booleans())
def test_rows_are_seen_nowhere(steps: list[tuple[str, list[int], bytes, bool]], codec: str, counted: bool) -> None:
    async def compare() -> None:
        houses = []
        for path in (BatchedPath(), CompiledPath(LIBRARY)):
            bits = random_bits()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(session.secrets, "randbits", lambda _, bits=bits: next(bits))
                houses.append(House(path, codec, counted=counted))
        start = [("key", [900, 300], b"", True), ("delta", [900], b"", True), ("delta", [900, 4], b"", True)]
        try:
            for action, sizes, head, now in [*start, *steps, ("delta", [9], b"", True)]:
                for house in houses:
                    house.step(action, sizes, head)
                if not now:
                    continue
                CLOCK["now"] += 0.037
                one, other = (house.take() for house in houses)
                assert one == other, action
            one, other = (house.state() for house in houses)
            for name, value in one.items():
                assert other[name] == value, name
        finally:
            for house in houses:
                house.close()

    asyncio.run(compare())


async def test_nearly_all_media_is_read_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    house, seen = House(CompiledPath(LIBRARY), "vp8", counted=True), []
    monkeypatch.setattr(
        house.hub, "_singly", lambda *given: (seen.append(len(given[2])), Hub._singly(house.hub, *given))
    )
    for number in range(9):
        house.frame([1100] * 6, b"", key=number == 0)
        CLOCK["now"] += 0.037
        house.take()
    assert seen == [6], "the key frame alone"
    house.close()


@pytest.mark.parametrize("kind", ["delta", "key"])
async def test_what_is_read_late_is_told_as_it_came(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and single packets alike: how long a datagram lay here is no property of the publisher's line."""
    monkeypatch.setattr(moment, "now", boot)
    house = House(CompiledPath(LIBRARY), "vp8", counted=True, stamped=True)
    for number in range(3):
        house.frame([1100] * 2, b"", key=number == 0)
        house.take()
    sent = []
    for _ in range(2):
        before = boot()
        house.frame([1100] * 3, b"", key=kind == "key")
        sent += [(before, boot())] * 3
        while boot() < sent[-1][1] + LATE_S:
            pass
    house.port._drain()
    while house.hub._intake._inboxes:
        house.hub._intake._turn()
    told = sorted(house.camera.session.arrivals.waiting.items())[-len(sent) :]
    for (begin, end), (_, came) in zip(sent, told, strict=True):
        assert begin - TICK_S <= came <= end + LATE_S / 2, "when the kernel had it, not when it was read"
    house.close()


def boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def test_without_a_stamp_of_the_kernel_it_counts_from_when_it_is_read() -> None:
    house = House(CompiledPath(LIBRARY), "vp8", counted=True)
    for number in range(2):
        house.frame([1100] * 2, b"", key=number == 0)
        house.port._drain()
        while house.hub._intake._inboxes:
            house.hub._intake._turn()
    assert set(house.camera.session.arrivals.waiting.values()) == {CLOCK["now"]}
    house.close()


@settings(deadline=None)
@given(
    st.integers(-2, MAX_LANES + 1), st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(-2, 300),
    st.sampled_from(["", "vp8", "h264", "av1"]), st.integers(-2, 300), st.binary(max_size=MAX_BLOCK + 2),
)  # fmt: skip
def test_no_lane_reaches_beyond_its_block(
    place: int, ssrc: int, last: int, payload_type: int, look: str, number_at: int, block: bytes
) -> None:
    number = LIBRARY.open([(bytes(16), 1)] * 3)
    wanted = (
        0 <= place < MAX_LANES and 0 <= last < 1 << 47 and 0 <= payload_type < 128 and look != "av1"
        and len(block) <= MAX_BLOCK and number_at >= 0 and (number_at == 0 or number_at + 2 <= len(block))
    )  # fmt: skip
    lane = Lane(ssrc, last, payload_type, look, block, number_at)
    assert LIBRARY.lane(number, place, lane) == wanted
    LIBRARY.close(number)
    assert not LIBRARY.lane(number, place, lane)
