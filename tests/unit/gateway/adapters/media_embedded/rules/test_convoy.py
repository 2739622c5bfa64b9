"""A leg in a convoy sends, keeps and tells what it would if it took each run by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.paths import portions
from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.convoy import Fan
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.leg import VIDEO_RING, Leg, Plan
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.strand import Out, Strand
from gateway.adapters.media_embedded.rules.transport import Transport

VP8 = 96
OWNERS = ("one", "two", "twice", "twice", "bare")


class House:
    """Two cameras and some viewers, one of whom watches twice; `step` follows a script."""

    def __init__(self, *, fans: bool, carried: bool) -> None:
        self.strands = [Strand(name, "main", fans=fans) for name in ("a", "b")]
        self.sequences, self.frames = [65500, 100], [0, 0]
        transports = {owner: Transport(65530) for owner in OWNERS}
        for transport in transports.values():
            transport.carried = carried
        self.legs = [
            Leg(
                Plan("video", 70 + n, {"vp8": 100}, {}, 65000 + n, 2**32 - 9000, "main", 0 if owner == "bare" else 3),
                owner, transports[owner],
            )
            for n, owner in enumerate(OWNERS)
        ]  # fmt: skip
        self.at = [0] * len(OWNERS)
        self.last = dict.fromkeys(range(70, 75), 0)
        self.now = 0.0
        for camera, strand in enumerate(self.strands):
            strand.begin(Ingest("video", {VP8: Codec("vp8", 90000)}, {}), camera + 1)
        for leg in self.legs:
            self.strands[0].add(leg, 0.0)

    def send(self, camera: int, count: int, *, key: bool = False, late: bool = False) -> Out:
        """A frame whose payloads bear picture ids; `late`: its first packet comes last."""
        self.frames[camera] += 1
        frame, packets = self.frames[camera], []
        for place in range(count):
            first = 0x90 if place == 0 else 0x80
            self.sequences[camera] += 1
            body = bytes([first, 0x80, 0x80 | frame >> 8 & 0x7F, frame & 0xFF, 0 if key and place == 0 else 1, place])
            packets.append(
                rtp.Packet(VP8, place == count - 1, self.sequences[camera] & 0xFFFF, frame * 3000, camera + 1, body)
            )
        if late:
            packets = [*packets[1:], packets[0]]
        return self.strands[camera].packets(packets, self.now)

    def spread(self, out: Out) -> dict[tuple[str, int], list[object]]:
        """Return what is sent, leg by leg."""
        found: dict[tuple[str, int], list[object]] = {}
        for owner, ssrc, sent in portions(out):
            found.setdefault((owner, ssrc), []).extend(sent)
            self.last[ssrc] = sent[-1][0]
        return found

    def move(self, number: int) -> Out:
        """Let a viewer turn to the other camera."""
        leg = self.legs[number]
        self.strands[self.at[number]].remove(leg, 0, 0)
        leg.leave()
        self.at[number] ^= 1
        return self.strands[self.at[number]].add(leg, self.now)

    def step(self, action: str, number: int) -> object:
        """Do one thing; return what is seen of it."""
        self.now += 0.02
        camera = number % 2
        found: object = None
        match action:
            case "frame" | "key" | "late":
                found = self.spread(self.send(camera, 1 + number, key=action == "key", late=action == "late"))
            case "many":
                found = [self.spread(self.send(camera, 40)) for _ in range(14)]
            case "due":
                found = [self.spread(strand.catch_up(self.now)) for strand in self.strands]
            case "lose":
                self.sequences[camera] += 1
            case "move":
                found = self.spread(self.move(number))
            case "nack":
                last = self.last[70 + number]
                leg = self.legs[number]
                found = (
                    leg.again(self.now),
                    leg.resend(tuple((last - n) & 0xFFFF for n in range(0, 200, 7)), 0.05, self.now),
                )
            case "told":
                reports = [strand.sender_report(SenderInfo(c + 1, 7, 9, 1, 1), self.now)
                           for c, strand in enumerate(self.strands)]  # fmt: skip
                found = reports, [(leg.packets, leg.octets, leg.dropped) for leg in self.legs]
        return found


ACTIONS = ["frame"] * 6 + ["key", "late", "many", "due", "due", "lose", "move", "nack", "nack", "told"]
SCRIPT = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, len(OWNERS) - 1)), max_size=40)


@settings(deadline=None, max_examples=60)
@given(SCRIPT, st.booleans())
def test_convoys_are_seen_nowhere(script: list[tuple[str, int]], carried: bool) -> None:
    singly, together = House(fans=False, carried=carried), House(fans=True, carried=carried)
    start = [("key", 0), ("key", 1), ("due", 0), ("frame", 2), ("frame", 2), ("frame", 3)]
    for number, (action, which) in enumerate([*start, *script]):
        assert together.step(action, which) == singly.step(action, which), (number, action)
    for one, other in zip(together.legs, singly.legs, strict=True):
        one.settle()
        assert one._number == other._number
        assert one._ring.since(0) == other._ring.since(0)
        assert (one._squeezed, one._newest_timestamp, one._sent_at) == (
            other._squeezed, other._newest_timestamp, other._sent_at,
        )  # fmt: skip


def steady() -> House:
    house = House(fans=True, carried=True)
    for action, number in (("key", 0), ("due", 0), ("frame", 2)):
        house.step(action, number)
    return house


def test_legs_in_steady_state_go_together_but_not_two_of_one_session() -> None:
    house = steady()
    fan, *rest = house.send(0, 3)
    assert isinstance(fan, Fan)
    assert [member.owner for member in fan.members] == ["one", "two", "bare"]
    assert [item[0] for item in rest if not isinstance(item, Fan)] == ["twice", "twice"]
    transport = house.legs[0]._transport
    assert transport is not None
    assert fan.wides[0] == transport.next - 3


def test_who_leaves_is_forgotten_and_the_others_go_on() -> None:
    house = steady()
    house.move(0)
    (fan,) = [item for item in house.send(0, 2) if isinstance(item, Fan)]
    assert [member.owner for member in fan.members] == ["two", "bare"]
    assert fan.convoy.carried is None


def test_a_convoy_keeps_no_more_than_a_ring_does() -> None:
    house = steady()
    convoy = house.legs[0].convoy
    assert convoy is not None
    for _ in range(100):
        house.send(0, 40)
    assert VIDEO_RING <= sum(len(passed.rows) for passed in convoy._log) < VIDEO_RING + 40
    assert house.legs[0].packets == house.legs[1].packets > 4000


def test_a_leg_alone_needs_no_convoy() -> None:
    house = steady()
    for number in range(4):
        house.move(number)
    house.send(0, 2)
    house.legs[4].settle()
    house.send(0, 2)
    assert house.legs[4].convoy is None
