"""All backends put the same datagrams on the wire, whatever the batches; GSO changes how, never what."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.backends import path_of
from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.compiled.library import Library
from gateway.adapters.media_embedded.compiled.path import CompiledPath
from gateway.adapters.media_embedded.hub import Hub
from gateway.adapters.media_embedded.paths import MAX_GROUP, BatchedPath, PacketPath, ReferencePath, groups_of, portions
from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.convoy import Fan
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.repair import Rtx
from gateway.adapters.media_embedded.rules.ring import Planned, Sent
from gateway.adapters.media_embedded.rules.strand import Out, Strand
from gateway.adapters.media_embedded.rules.transport import Transport
from gateway.adapters.media_embedded.srtp import MAX_PLAIN, PROFILES, Keys
from gateway.adapters.media_embedded.srtp_gcm import TAG
from gateway.adapters.media_embedded.wire import Open
from gateway.ports.media import SessionKind

GCM, COUNTER_MODE = b"SRTP_AEAD_AES_128_GCM", b"SRTP_AES128_CM_SHA1_80"
VP8 = 96
PACKETS = build.ensure(build.HERE)
LIBRARY = Library(PACKETS)
FAST = ("batched", "compiled")
SO_NO_CHECK = 11  # asm-generic/socket.h
OWNERS = ("plain", "counted", "late")


class Bench:
    """A hub on one path; what it sends to each viewer arrives at a real socket."""

    def __init__(self, path: PacketPath, profile: bytes = GCM) -> None:
        self.path = path
        self.hub = Hub(None, path, lambda _: None)  # None: nobody shakes hands here
        self.port = path.port("127.0.0.1", 0, lambda *_: None, lambda _: None)
        self.ears: dict[str, socket.socket] = {}
        length = PROFILES[profile][1] + PROFILES[profile][2]
        for number, owner in enumerate(OWNERS):
            ear = self.ears[owner] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ear.bind(("127.0.0.1", 0))
            ear.settimeout(5.0)
            spec = Open(owner, SessionKind.WHEP, "s", Credentials(owner, "p"), Credentials("r", "q"), "", (), 0.0)
            self.hub.open(spec, self.port)
            session = self.hub.sessions[owner]
            session.address = ear.getsockname()
            session.srtp = path.secure(Keys(profile, bytes([number]) * length, bytes(length)))

    def carry(self, out: Out) -> dict[str, list[bytes]]:
        """Send, and return what arrived."""
        self.path.send(out, self.hub.sessions)
        counts = dict.fromkeys(OWNERS, 0)
        for owner, _, sent in portions(out):
            counts[owner] += sum(len(head) + len(payload) <= MAX_PLAIN for _, head, payload in sent)
        return {owner: [self.ears[owner].recv(4096) for _ in range(count)] for owner, count in counts.items()}

    def close(self) -> None:
        for ear in self.ears.values():
            ear.close()
        self.port.close()


def leg(owner: str) -> Leg:
    place = OWNERS.index(owner)
    rtx = Rtx(90, {100: 101}, 65534) if owner == "late" else None
    elements = {1: b"0"}
    plan = Plan(
        "video",
        70 + place,
        {"vp8": 100},
        elements,
        65530 + place,
        0xFFFFFF00,
        "main",
        place * 3,
        rtx,
        level_extension=7 if owner == "late" else 0,
    )
    return Leg(plan, owner, Transport(65535))


class Room:
    """The rules alone: a strand with its legs, driven by a script of steps; gives what is to be sent."""

    def __init__(self, *, fans: bool = False) -> None:
        self.strand = Strand("s", "main", fans=fans)
        self.legs = {owner: leg(owner) for owner in OWNERS}
        self.source = self.sequence = self.frame = 0
        self.switch()
        for owner in OWNERS[:2]:
            self.strand.add(self.legs[owner], 0.0)

    def switch(self) -> Out:
        self.source += 1
        self.sequence += 5000
        self.strand.begin(Ingest("video", {VP8: Codec("vp8", 90000)}, {}), self.source)
        return []

    def frames(self, sizes: list[int], *, key: bool) -> Out:
        self.frame += 1
        packets = []
        for place, size in enumerate(sizes):
            body = (b"\x90\x80" if place == 0 else b"\x80\x80") + bytes([self.frame & 0x7F, 0 if key else 1])
            self.sequence += 1
            marker, stamp = place == len(sizes) - 1, self.frame * 3000
            packets.append(rtp.Packet(VP8, marker, self.sequence & 0xFFFF, stamp, self.source, body + bytes(size)))
        return self.strand.packets(packets, self.frame / 25)

    def step(self, action: str, sizes: list[int]) -> Out:
        now = self.frame / 25
        if action == "lose":
            self.sequence += 2
        match action:
            case "switch" | "lose":
                return self.switch() if action == "switch" else []
            case "join":
                return [] if self.legs["late"] in self.strand.legs else self.strand.add(self.legs["late"], now)
            case "again":
                asked = tuple(range(65530, 65540)) + tuple(range(3))
                return [(o, *again) for o, one in self.legs.items() for again in one.resend(asked, None, now)]
            case "due":
                return self.strand.catch_up(now)
            case "move":
                moved = self.legs["plain"]
                self.strand.remove(moved, 0, 0)
                moved.leave()
                return self.strand.add(moved, now)
        return self.frames(sizes, key=action == "key")


def live_room() -> Room:
    """A room whose first legs have caught up: what they take from now on is planned, not made."""
    room = Room()
    room.frames([900], key=True)
    room.strand.catch_up(0.0)
    room.frames([900], key=False)
    assert all(isinstance(sent, Planned) for _, _, sent in room.frames([900, 900], key=False))
    return room


SIZES = st.lists(st.sampled_from([1, 500, 1100, 1100, 1100, 1101, MAX_PLAIN]), max_size=24).map(lambda s: [900, *s])
"""A frame begins with a packet that fits: libsrtp must have seen the first number of a leg to follow its rollover."""
STEPS = st.lists(
    st.tuples(st.sampled_from(["key", "delta", "delta", "delta", "switch", "join", "again", "lose", "due"]), SIZES),
    max_size=12,
)


@pytest.mark.parametrize("profile", [GCM, COUNTER_MODE])
@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_every_path_sends_the_same_datagrams(profile: bytes, steps: list[tuple[str, list[int]]]) -> None:
    async def compare() -> None:
        paths = [
            ReferencePath(),
            BatchedPath(),
            BatchedPath(segmenting=False),
            CompiledPath(LIBRARY),
            CompiledPath(LIBRARY, segmenting=False),
        ]
        benches = [Bench(path, profile) for path in paths]
        room = Room()
        index: dict[tuple[str, int, int], Sent] = {}
        try:
            for action, sizes in [("key", [1100, 1100, 300]), *steps]:
                out = room.step(action, sizes)
                for owner, ssrc, sent in out:
                    for one in sent:
                        assert index.setdefault((owner, ssrc, one[0]), one) == one, "one number, one content"
                first, *others = [bench.carry(out) for bench in benches]
                assert others == [first] * len(others)
            totals = [
                {o: (s.traffic.packets_out, s.line.sent.octets) for o, s in bench.hub.sessions.items()}
                for bench in benches
            ]
            assert totals == totals[:1] * len(benches)
            assert all(bench.hub.dropped == benches[0].hub.dropped for bench in benches)
            assert [bench.path.modes().get("gso") for bench in benches] == [None, "on", "off", "on", "off"]
        finally:
            for bench in benches:
                bench.close()

    asyncio.run(compare())


CONVOY_STEPS = st.lists(
    st.tuples(st.sampled_from(["delta"] * 6 + ["key", "switch", "join", "again", "lose", "due", "move"]), SIZES),
    max_size=30,
)


@pytest.mark.parametrize("profile", [GCM, COUNTER_MODE])
@settings(max_examples=30, deadline=None)
@given(steps=CONVOY_STEPS)
def test_legs_in_convoys_are_sent_the_same_datagrams(profile: bytes, steps: list[tuple[str, list[int]]]) -> None:
    async def compare() -> None:
        singly, together = Room(), Room(fans=True)
        paths = [BatchedPath(), CompiledPath(LIBRARY), BatchedPath(), CompiledPath(LIBRARY)]
        benches = [
            (Bench(path, profile), room) for path, room in zip(paths, [singly] * 2 + [together] * 2, strict=True)
        ]
        try:
            for action, sizes in [("key", [900]), ("due", []), ("delta", [900]), ("delta", [900]), *steps]:
                outs = {id(room): room.step(action, sizes) for room in (singly, together)}
                first, *others = [bench.carry(outs[id(room)]) for bench, room in benches]
                assert others == [first] * len(others)
            totals = [
                {o: (s.traffic.packets_out, s.line.sent.octets) for o, s in bench.hub.sessions.items()}
                for bench, _ in benches
            ]
            assert totals == totals[:1] * len(benches)
            for owner, one in together.legs.items():
                assert (one.packets, one.octets) == (singly.legs[owner].packets, singly.legs[owner].octets)
                one.settle()
                assert state_of(one) == state_of(singly.legs[owner])
        finally:
            for bench, _ in benches:
                bench.close()

    asyncio.run(compare())


def state_of(one: Leg) -> dict[str, object]:
    """Return all that decides what a leg will send."""
    kept = {
        name: value for name, value in vars(one).items() if name not in {"_make_run", "_pack", "_transport", "_ring"}
    }
    kept.pop("_repeater")
    kept["next"] = one._transport.next if one._transport is not None else None
    kept["ring"] = one._ring.since(0)
    return kept


async def test_a_convoy_is_spelled_once_and_anew_when_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, room = Bench(CompiledPath(LIBRARY)), Room(fans=True)
    calls: list[int] = []
    fan = LIBRARY.fan

    def counted(descriptor: int, rows: tuple[bytes, bytes, int], legs: bytes, *rest: object, **how: bool) -> object:
        calls.append(len(legs))
        return fan(descriptor, rows, legs, *rest, **how)

    monkeypatch.setattr(LIBRARY, "fan", counted)
    for step in (room.frames([900], key=True), room.strand.catch_up(0.0), room.frames([900], key=False)):
        bench.carry(step)
    out = room.frames([1100] * 12 + [400], key=False)
    assert [type(item) for item in out] == [Fan]
    got = bench.carry(out)
    assert [len(one) for one in got["counted"]] == [1144] * 12 + [444]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(5.0)
        bench.hub.sessions["plain"].address = other.getsockname()
        bench.path.send(room.frames([700], key=False), bench.hub.sessions)
        assert len(other.recv(4096)) == 740
    bench.hub.sessions["plain"].srtp = None
    bench.path.send(room.frames([700], key=False), bench.hub.sessions)
    assert calls == [272, 272, 136], "who has no keys is passed over"
    bench.close()


async def test_equal_packets_go_together_and_the_path_says_so() -> None:
    bench = Bench(BatchedPath())
    calls: list[int] = []
    send = bench.port.send_group

    def counted(parts: list[bytes], size: int, count: int, to: tuple[str, int]) -> bool:
        calls.append(count)
        return send(parts, size, count, to)

    bench.port.send_group = counted  # type: ignore[method-assign] - watches, then does the same
    Carry = Callable[[list[int]], int]
    room = Room()
    carry: Carry = lambda sizes: sum(map(len, bench.carry(room.frames(sizes, key=True)[:1]).values()))  # noqa: E731 - two uses
    assert carry([1100] * 12 + [400]) == 13
    assert calls == [10, 3]
    calls.clear()
    assert carry([500, 900, 900, 100, 900]) == 5
    assert calls == [1, 3, 1]
    assert bench.path.modes() == {"backend": "batched", "gso": "on"}
    bench.close()


@given(st.lists(st.integers(1, 6), max_size=40))
def test_groups_hold_everything_once_and_only_their_last_is_shorter(sizes: list[int]) -> None:
    sent = [(place, b"h", bytes(size)) for place, size in enumerate(sizes)]
    groups = groups_of(sent)
    assert [place for begin, end, _ in groups for place in range(begin, end)] == list(range(len(sizes)))
    for begin, end, size in groups:
        inside = [len(head) + len(payload) + TAG for _, head, payload in sent[begin:end]]
        assert len(inside) <= MAX_GROUP
        assert set(inside[:-1]) <= {size}
        assert inside[-1] <= size


SMALL = """
import asyncio, sys
from tests.unit.gateway.adapters.media_embedded.test_paths import Bench, PACKETS, live_room, path_of

async def main():
    bench, room = Bench(path_of(sys.argv[1], str(PACKETS))), live_room()
    for _ in range(2):
        got = bench.carry(room.frames([1100, 1100, 300], key=True)[:1])
        assert [len(one) for one in got["plain"]] == [1140, 1140, 340], got
        assert bench.path.modes() == {"backend": sys.argv[1], "gso": "on"}
        assert bench.port.unsent == 0

asyncio.run(main())
"""


@pytest.mark.parametrize("backend", FAST)
async def test_where_the_kernel_cannot_segment_packets_go_singly_for_good(backend: str) -> None:
    bench, room = Bench(path_of(backend, str(PACKETS))), live_room()
    bench.port._socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)  # the kernel segments nothing without checksums
    for _ in range(2):
        got = bench.carry(room.frames([1100, 1100, 300], key=True)[:1])
        assert [len(one) for one in got["plain"]] == [1140, 1140, 340]
        assert bench.path.modes() == {"backend": backend, "gso": "off"}
    assert bench.port.unsent == 0
    bench.close()


@pytest.mark.parametrize("backend", FAST)
def test_a_peer_behind_a_narrow_link_gets_single_packets(backend: str) -> None:
    """A network of its own, narrower than our packets: the kernel refuses to segment, and fragments."""
    command = ["unshare", "-rn", "sh", "-c", 'ip link set lo up mtu 600 && exec "$0" "$@"', sys.executable, "-c", SMALL]
    command.append(backend)
    subprocess.run(command, check=True, timeout=60)


async def test_what_was_planned_goes_to_all_legs_of_a_run_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, room = Bench(CompiledPath(LIBRARY)), live_room()
    calls: list[int] = []
    send = LIBRARY.send

    def counted(descriptor: int, rows: tuple[bytes, bytes, int], legs: list[bytes], **how: bool) -> object:
        calls.append(len(legs))
        return send(descriptor, rows, legs, **how)

    monkeypatch.setattr(LIBRARY, "send", counted)
    out = room.frames([1100] * 12 + [400], key=False)
    bench.path.send(out, bench.hub.sessions)
    assert all(sent._made is None for _, _, sent in out if isinstance(sent, Planned)), "nobody made them in Python"
    assert calls == [2]
    assert [bench.hub.sessions[owner].traffic.packets_out for owner in OWNERS] == [13, 13, 0]
    bench.close()


async def test_an_address_that_moves_is_followed() -> None:
    bench, room = Bench(CompiledPath(LIBRARY)), live_room()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(5.0)
        bench.hub.sessions["plain"].address = other.getsockname()
        bench.path.send(room.frames([700], key=False)[:1], bench.hub.sessions)
        assert len(other.recv(4096)) == 740
    bench.close()


async def test_a_full_send_buffer_is_counted() -> None:
    bench, room = Bench(BatchedPath()), Room()

    def full(*_: object) -> int:
        raise BlockingIOError

    bench.port._sendmsg = full
    bench.path.send(room.frames([1100, 1100, 300], key=True)[:1], bench.hub.sessions)
    assert (bench.port.full, bench.port.unsent, bench.path.modes()["gso"]) == (3, 0, "on")
    bench.close()


async def test_sessions_that_are_gone_or_have_no_keys_are_passed_over() -> None:
    for path in (ReferencePath(), BatchedPath(), CompiledPath(LIBRARY)):
        bench, room = Bench(path), live_room()
        out = room.frames([1100], key=True)
        bench.hub.sessions["plain"].srtp = None
        bench.hub.sessions["counted"].address = None
        path.send([*out, ("nobody", 1, out[0][2])], bench.hub.sessions)
        assert [session.traffic.packets_out for session in bench.hub.sessions.values()] == [0, 0, 0]
        bench.close()
