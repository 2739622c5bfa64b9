"""Plain feedback is taken where it comes in: the estimator hears it, nobody else does, and nothing else is taken."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.compiled.library import MAX_ANSWERS
from gateway.adapters.media_embedded.compiled.port import CompiledPort, sockaddr
from gateway.adapters.media_embedded.compiled.srtp import CompiledEstimator, CompiledSrtp
from gateway.adapters.media_embedded.rules import rtcp, rtp
from gateway.adapters.media_embedded.rules.estimate import Estimator
from gateway.adapters.media_embedded.rules.line import Line
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.transport import Transport
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals, TransportFeedback
from gateway.adapters.media_embedded.socket_port import Heard
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp
from tests.unit.gateway.adapters.media_embedded.compiled.test_flight import LIBRARY, pair

HEAD = rtcp.receiver_report(rtcp.ReceiverInfo(1, ())) + rtcp.source_description(1, "viewer")


class Peer:
    """A viewer with a socket of its own, and our end of its line."""

    def __init__(self, *, counted: bool = True) -> None:
        self.viewer: GcmSrtp
        self.srtp: CompiledSrtp
        self.viewer, self.srtp = pair()
        self.transport = Transport(7)
        self.line = Line(self.transport, counted=counted)
        self.srtp.ready(self.line)
        self.arrivals = Arrivals()
        self.mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.mouth.bind(("127.0.0.1", 0))
        self.address = self.mouth.getsockname()
        self.at = 100.0

    def feedback(self, extra: bytes = b"") -> bytes:
        """Send it a frame, and return what it says of that."""
        first = self.transport.next
        self.transport.note([1100] * 6, 34, self.at)
        self.srtp.noted(self.line)
        for place in range(6):
            self.arrivals.add(first + place & 0xFFFF, self.at + 0.003 + place * 0.0004)
        self.at += 0.04
        return self.viewer.protect_rtcp(HEAD + self.arrivals.build(1, 2)[0] + extra)


class Ear:
    """A port, and what it hands on."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.peers: list[Peer] = []
        self.port = CompiledPort(LIBRARY, "127.0.0.1", 0, lambda _, data, __: self.got.append(data), lambda _: None)

    def peer(self, *, counted: bool = True) -> Peer:
        """Return a viewer that ends with us."""
        self.peers.append(Peer(counted=counted))
        return self.peers[-1]

    def close(self) -> None:
        """End all."""
        for peer in self.peers:
            peer.mouth.close()
        self.port.close()

    async def hear(self, peer: Peer, *datagrams: bytes) -> list[bytes]:
        """Return what is handed on of datagrams that wait together, the last of which is nobody's."""
        self.got.clear()
        for data in (*datagrams, b"end"):
            peer.mouth.sendto(data, ("127.0.0.1", self.port.number))
        async with asyncio.timeout(20):
            while b"end" not in self.got:
                await asyncio.sleep(0)
        return self.got[:-1]


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    made = Ear()
    yield made
    made.close()


async def test_plain_feedback_is_done_where_it_comes_in(ear: Ear) -> None:
    peer = ear.peer()
    peer.srtp.heard_by([peer.address], peer.line)
    told = [peer.feedback() for _ in range(3)]
    assert await ear.hear(peer, *told) == []
    assert peer.srtp.heard() == (3, sum(map(len, told)), [])
    assert peer.srtp.heard() == (0, 0, [])
    assert peer.line.estimate(peer.at) is not None
    assert await ear.hear(peer, told[0]) == [told[0]], "a replay is for others to count"


async def test_what_follows_something_else_stays_behind_it(ear: Ear) -> None:
    peer = ear.peer()
    peer.srtp.heard_by([peer.address], peer.line)
    peer.srtp.hear(peer.feedback(), peer.line, peer.at)
    plain, more, last = peer.feedback(), peer.feedback(rtcp.picture_loss(1, 2)), peer.feedback()
    got = await ear.hear(peer, plain, more, last)
    assert got in ([more, last], [more]), "one slice, or one each"
    assert peer.srtp.hear(more, peer.line, peer.at), "it was not taken before"


async def test_only_the_owner_of_an_address_is_heard_by_it(ear: Ear) -> None:
    peer, other, deaf = ear.peer(), ear.peer(), ear.peer(counted=False)
    for one in (peer, other, deaf):
        one.srtp.hear(one.feedback(), one.line, one.at)
    deaf.srtp.heard_by([deaf.address], deaf.line)
    for one in (peer, deaf):
        said = one.feedback()
        assert await ear.hear(one, said) == [said], "no route leads here"
    peer.srtp.heard_by([peer.address], peer.line)
    other.srtp.heard_by([peer.address], other.line)
    peer.srtp.heard_by([], peer.line)
    assert LIBRARY.unroute(other.srtp.number, sockaddr(peer.address)), "whoever proved it last keeps it"
    other.srtp.heard_by([peer.address], other.line)
    number = other.srtp.number
    ear.peers.remove(other)
    other.mouth.close()
    del other, one
    assert not LIBRARY.unroute(number, sockaddr(peer.address)), "it went with its keys"


def block(ssrc: int, last_sr: int, delay: int) -> rtcp.Report:
    return rtcp.Report(ssrc, 3, 7, 99, 5, last_sr, delay)


def report(*blocks: rtcp.Report) -> bytes:
    return rtcp.receiver_report(rtcp.ReceiverInfo(9, blocks))


async def test_receiver_reports_wait_for_the_round_trip(ear: Ear) -> None:
    peer = ear.peer()
    peer.srtp.heard_by([peer.address], peer.line)
    said = [block(5, 0x10000, 0x8000), block(6, 0, 0), block(7, 2, 3)]
    plain = peer.viewer.protect_rtcp(report(*said) + rtcp.source_description(9, "viewer"))
    before = moment.now()
    assert await ear.hear(peer, plain) == []
    packets, octets, answers = peer.srtp.heard()
    assert (packets, octets) == (1, len(plain))
    assert [answer[1:] for answer in answers] == [(5, 0x10000, 0x8000), (7, 2, 3)], "one that answers nothing is none"
    assert before <= answers[0][0] <= moment.now()
    peer.line.reported(rtcp.SenderInfo(5, 0x10000 << 16, 0, 1, 1), answers[0][0] - 0.75)
    for answer in answers:
        peer.line.answered(answer)
    assert peer.line.rtt_s == pytest.approx(0.25)


async def test_answers_beyond_what_can_wait_go_the_long_way(ear: Ear) -> None:
    peer = ear.peer()
    peer.srtp.heard_by([peer.address], peer.line)
    many = [peer.viewer.protect_rtcp(report(*[block(5, n + 1, 0)] * 3)) for n in range(MAX_ANSWERS // 3 + 1)]
    assert await ear.hear(peer, *many) == [many[-1]]
    assert peer.srtp.hear(many[-1], peer.line, peer.at), "it was not taken before"
    assert len(peer.srtp.heard()[2]) == MAX_ANSWERS // 3 * 3


BODIES = st.builds(
    lambda base, count, word, chunks, deltas: struct.pack("!IIHHI", 1, 2, base, count, word)
    + b"".join(struct.pack("!H", chunk) for chunk in chunks) + deltas,
    st.one_of(st.integers(0, 100), st.integers(0, 0xFFFF)), st.integers(0, 60), st.integers(0, 2**32 - 1),
    st.lists(
        st.one_of(
            st.integers(0, 0xFFFF),
            st.builds(lambda status, run: status << 13 | run, st.integers(0, 2), st.integers(1, 30)),
            st.builds(lambda bits: 0x8000 | bits, st.integers(0, 0x3FFF)),
            st.lists(st.integers(0, 2), min_size=7, max_size=7).map(
                lambda s: 0xC000 | sum(one << 12 - 2 * place for place, one in enumerate(s))
            ),
        ),
        min_size=1, max_size=6,
    ),
    st.binary(max_size=130),
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(BODIES, min_size=1, max_size=4))
def test_feedback_of_every_form_is_read_as_the_rules_read_it(bodies: list[bytes]) -> None:
    viewer, srtp = pair()
    ours, rule = Line(Transport(0x1_0000), counted=True), Line(Transport(0x1_0000), counted=True)
    srtp.ready(ours)
    now = 100.0
    for body in bodies:
        now += 0.3
        for line in (ours, rule):
            line._transport.note([1000] * 30, 34, now - 0.05)
        whole = body + bytes(-len(body) & 3)
        compound = struct.pack("!BBH", 0x80 | 15, 205, len(whole) // 4) + whole
        left = srtp.hear(viewer.protect_rtcp(compound), ours, now)
        try:
            items = rtcp.parse(compound)
        except MalformedError:
            assert left == compound, "what is malformed is for others to count"
            continue
        assert left == b""
        for item in items:
            rule.heard(item, now)
        assert (ours.estimate(now), ours.fraction_lost) == (rule.estimate(now), rule.fraction_lost)


def media(peer: Peer, numbers: list[int]) -> list[bytes]:
    heads = [rtp.header(96, n, n * 90, 0xABC, marker=n % 3 == 0, block=rtp.extension_block({1: b"x"})) for n in numbers]
    return [peer.viewer.protect(head + b"payload %d" % n) for head, n in zip(heads, numbers, strict=True)]


async def test_media_of_known_peers_is_read_where_it_comes_in(ear: Ear) -> None:
    one, other, stranger = ear.peer(counted=False), ear.peer(), ear.peer()
    heard: dict[tuple[str, int], list[Heard]] = {}
    ear.port.read = lambda source, found: heard.setdefault(source, []).append(found)
    for peer in (one, other):
        peer.srtp.heard_by([peer.address], peer.line)
    sent = media(one, [7, 8, 9, 8])
    sent = [*sent[:3], sent[1], sent[0][:-1] + bytes([sent[0][-1] ^ 1]), media(one, [10])[0]]
    for data in media(other, [1, 2]):
        other.mouth.sendto(data, ("127.0.0.1", ear.port.number))
    strange = media(stranger, [5])[0]
    stranger.mouth.sendto(strange, ("127.0.0.1", ear.port.number))
    assert sorted(await ear.hear(one, *sent)) == [strange]
    mine = heard[one.address]
    assert [p.sequence for found in mine for p in found.packets] == [7, 8, 9, 10]
    assert sorted(name for found in mine for name in found.wrong) == ["replay", "replay"]
    assert sum(found.octets for found in mine) == sum(map(len, sent))
    assert any(found.marked for found in mine)
    assert [p.payload for found in heard[other.address] for p in found.packets] == [b"payload 1", b"payload 2"]
    first = mine[0].packets[0]
    assert (first.payload_type, first.marker, first.timestamp, first.ssrc) == (96, False, 630, 0xABC)
    assert (first.payload, first.extensions) == (b"payload 7", {1: b"x"})


async def test_nobody_reads_media_of_a_port_that_hands_on_all(ear: Ear) -> None:
    peer = ear.peer()
    peer.srtp.heard_by([peer.address], peer.line)
    sent = media(peer, [1, 2])
    assert await ear.hear(peer, *sent) == sent


async def test_a_peer_that_came_by_a_connection_is_left_to_it(ear: Ear) -> None:
    peer = ear.peer()
    peer.srtp.heard_by([("tcp:127.0.0.1", 7), peer.address], peer.line)
    assert not LIBRARY.unroute(peer.srtp.number, sockaddr(("127.0.0.1", 7)))
    assert await ear.hear(peer, peer.feedback()) == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 400)), max_size=900))
def test_routes_are_a_table(script: list[tuple[bool, int, int]]) -> None:
    numbers = [LIBRARY.open([(bytes(16), 1)] * 3) for _ in range(3)]
    model: dict[bytes, int] = {}
    for adding, which, port in script:
        address = sockaddr((f"10.0.{port % 7}.1", port))
        if adding:
            assert LIBRARY.route(numbers[which], address)
            model[address] = which
        else:
            assert LIBRARY.unroute(numbers[which], address) == (model.get(address) == which)
            if model.get(address) == which:
                del model[address]
    for address, which in model.items():
        assert LIBRARY.unroute(numbers[which], address)
    for number in numbers:
        LIBRARY.close(number)
        assert not LIBRARY.route(number, sockaddr(("10.0.0.1", 1)))


RUNS = st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 900), max_size=40)), max_size=3)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("bounded"), st.integers(0, 2**40), st.integers(0, 40)),
            st.tuples(st.just("reported"), st.integers(0, 255), st.integers(0, 50_000_000)),
            st.tuples(st.just("told"), st.integers(0, 2**24 - 1), RUNS),
        ),
        max_size=60,
    ),
    st.sampled_from([0.04, 0.3, 1.1, 4.0]),
)
def test_every_estimate_is_the_rules(script: list[tuple], pause_s: float) -> None:
    _, srtp = pair()
    ours, rule = CompiledEstimator(LIBRARY, srtp), Estimator()
    now, number = 100.0, 0
    for action, one, other in script:
        now += pause_s
        for estimator in (ours, rule):
            if action == "bounded":
                estimator.bounded(one, now)
            elif action == "reported":
                estimator.reported(one / 256, other, now)
            else:
                estimator.sent(number, now - 0.03, [1000] * 30, 70)
                runs, at = [], 0
                for gap, ticks in other:
                    runs.append((at + gap, tuple(ticks)))
                    at += gap + len(ticks)
                estimator.feedback(TransportFeedback(number & 0xFFFF, at, one, 0, tuple(runs)), now)
        number += 30
        assert (ours.bitrate(now), ours.fraction_lost) == (rule.bitrate(now), rule.fraction_lost)


def test_without_keys_no_line_is_known() -> None:
    _, srtp = pair()
    estimator = CompiledEstimator(LIBRARY, srtp)
    del srtp
    estimator.bounded(1_000_000, 1.0)
    estimator.reported(0.5, 1_000_000, 1.0)
    estimator.feedback(TransportFeedback(0, 1, 1, 0, ((0, (0,)),)), 1.0)
    assert (estimator.bitrate(1.0), estimator.fraction_lost) == (None, None)
