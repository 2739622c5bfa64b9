"""Every parser of the media plane against damaged input: only the declared error may come out, and little of it.

`python -m tests.support.fuzz --seconds 60 [--target NAME] [--seed N]` runs longer than the suite does and prints what
it found. With `--guided` one target is driven by atheris, where that is installed.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.adapters.media_embedded import dtls, sdp, wire
from gateway.adapters.media_embedded.identity import make
from gateway.adapters.media_embedded.rules import (
    access_unit,
    fragment,
    framing,
    h264,
    h265,
    picture_size,
    rtcp,
    rtp,
    stun,
    tapping,
    transport_feedback,
    vp8,
)
from gateway.adapters.media_embedded.rules.description import Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.srtp import PROFILES, Keys, Secured, Srtp, SrtpError
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp
from gateway.ports.media import SessionKind
from protocols.errors import BadMediaError
from tests.support.passed_on import av1_payloads, vp9_packets

LOCAL = Local(Credentials("ours", "p" * 22), ":".join(["AB"] * 32), (("127.0.0.1", 5000),))

H265_SPS = bytes.fromhex("42010101600000030090000003000003003fa00f080447d65ba4a4c2e68080000003008000000784")


@dataclass(frozen=True)
class Target:
    """A parser: `run` takes bytes, raises `errors` alone, and checks what it got; `seeds` are good inputs."""

    name: str
    run: Callable[[bytes], None]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def try_one(self, data: bytes) -> None:
        """Run it on one input; anything but a declared error goes through."""
        try:
            self.run(data)
        except self.errors:
            return


def damaged(seeds: tuple[bytes, ...], chance: random.Random) -> bytes:
    """Return one of the seeds with some bytes or lines changed, cut, doubled or mixed with another's."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice([1, 1, 2, 4, 16, 64]))
        match chance.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at % len(data)] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
            case 2:
                data[at:at] = chance.randbytes(chance.choice([1, 2, 4, 32]))
            case 3:
                del data[at:to]
            case 4:
                data[at:at] = data[at:to]
            case 5:
                data[at:] = chance.choice(seeds)[at:]
            case 6:
                data = data[:at]
            case _:
                lines = bytes(data).split(b"\r\n")
                chosen = chance.randrange(len(lines))
                lines[chosen : chosen + 1] = chance.choice([[], [lines[chosen]] * 3, [chance.choice(lines)]])
                data = bytearray(b"\r\n".join(lines))
    return bytes(data[:100_000])


def _stun(data: bytes) -> None:
    message = stun.parse(data)
    assert not message.authentic(b"another password")
    assert len(message.user) + len(message.unknown()) + (message.error_code() or 0) <= len(data) + 1000
    if message.kind == stun.REQUEST:
        assert len(stun.failure(message, 401)) <= max(len(data), 20) + 60


def _rtp(data: bytes) -> None:
    packet = rtp.parse(data)
    assert len(packet.payload) + sum(map(len, packet.extensions.values())) <= len(data)


def _rtcp(data: bytes) -> None:
    found = rtcp.parse(data)
    assert len(found) <= len(data)
    for item in found:
        if isinstance(item, rtcp.Nack):
            assert len(item.sequences) <= 5 * len(data)
        if isinstance(item, transport_feedback.TransportFeedback):
            assert len(item.arrivals) <= len(data)


def _feedback(data: bytes) -> None:
    assert len(transport_feedback.parse(data).arrivals) <= len(data)


def _pieces(data: bytes) -> list[bytes]:
    """Cut at lengths that the data itself names, so that one input makes several payloads."""
    found, at = [], 0
    while at < len(data):
        size = 1 + data[at] * 4
        found.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return found


def _vp8(data: bytes) -> None:
    vp8.starts_key_frame(data)
    with contextlib.suppress(MalformedError):
        assert len(vp8.frame(_pieces(data))) <= len(data)
    with contextlib.suppress(MalformedError):
        picture_size.of_vp8(data)
    assert len(vp8.shifted(data, 77, 3)) == len(data)


def _h264(data: bytes) -> None:
    h264.starts_key_frame(data)
    assert len(h264.nal_types(data)) <= len(data)
    assert len(h264.annex_b(_pieces(data))) <= 5 * len(data)


def _of_codec(codec: str) -> Callable[[bytes], None]:
    """Return what joins payloads and asks everything that a recording asks of what came out."""

    def run(data: bytes) -> None:
        with contextlib.suppress(MalformedError):
            access_unit.size(codec, data)
        pieces = _pieces(data)
        for piece in pieces:
            access_unit.opens(codec, piece)
        unit = access_unit.joined(codec, pieces)
        assert len(unit) <= 5 * len(data) + 50
        assert len(access_unit.parameters(codec, unit)) <= max(len(codec), 2 * len(unit))
        if access_unit.is_key(codec, unit):
            width, height = access_unit.size(codec, unit)
            assert 0 < width * height <= 16384**2

    return run


def _packed(payloads: Sequence[bytes]) -> bytes:
    """Return payloads as `_pieces` cuts them."""
    return b"".join(bytes([(len(u) - 1) // 4]) + u.ljust(1 + (len(u) - 1) // 4 * 4, b"\0") for u in payloads)


def _picture_size(data: bytes) -> None:
    width, height = picture_size.of_h264(data)
    assert 0 < width <= 16384
    assert 0 < height <= 16384


def _ingest(data: bytes) -> None:
    """A publisher's packets, one after another, through all that looks into them."""
    track = Ingest("video", {96: Codec("vp8", 90000), 102: Codec("h264/42e0", 90000)}, {97: 96, 103: 102})
    for number, piece in enumerate(_pieces(data)):
        try:
            packet = rtp.parse(piece)
        except MalformedError:
            continue
        track.receive(packet, number / 50)
        assert len(track.missing(number / 50)) <= 64
    assert len(track.given_up()) <= 70_000
    track.report(1e3)


def _sdp(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for kind in (SessionKind.WHIP, SessionKind.WHEP, SessionKind.WALL):
        try:
            agreed = sdp.answer(text, LOCAL, kind, iter(range(1, 1000)))
        except BadMediaError:
            continue
        assert len(agreed.sdp) <= 4 * len(text) + 40 * 600
        sdp.read(agreed.sdp)


def _answer(data: bytes) -> None:
    sdp.accept(data.decode("utf-8", "replace"), SessionKind.RELAY, {"main": 1, "thumb": 2, "audio": 3})


def _fragment(data: bytes) -> None:
    fragment.read(data.decode("utf-8", "replace"))


def _deframer(data: bytes) -> None:
    assert sum(map(len, framing.Deframer().feed(data))) <= len(data)


def _reader(data: bytes) -> None:
    assert sum(len(record.payload) for record in tapping.Reader().feed(data)) <= len(data)


def _wire(data: bytes) -> None:
    async def read() -> None:
        for one in (wire.read_ask, wire.read_answer):
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            try:
                await one(reader)
            except wire.WireError:
                continue

    asyncio.run(read())


def _dtls_target() -> Target:
    identity = make(datetime.now(UTC))
    shared = dtls.context(identity.certificate, identity.key)

    async def shake(data: bytes) -> None:
        sent: list[bytes] = []
        link = dtls.Dtls(
            shared, server=True, fingerprint="AB", send=sent.append, done=lambda _: None, again=lambda: None
        )
        for piece in _pieces(data):
            if piece and 20 <= piece[0] <= 63:  # nothing else comes this far
                link.feed(piece)
        link.close()
        assert sum(map(len, sent)) <= 40 * max(len(data), 200)

    hello = bytes.fromhex("16feff000000000000000000360100002a000000000000002afefd") + bytes(32)
    hello += bytes.fromhex("00000002c02b0100")
    seeds = (bytes([len(hello) // 4]) + hello, b"\x03\x15\xfe\xfd" + bytes(7) + b"\x00\x02\x02\x28", hello)
    return Target("dtls", lambda data: asyncio.run(shake(data)), (), seeds)


def _srtp_target(name: str, profile: bytes, made: Callable[[Keys], Secured]) -> Target:
    _, key, salt = PROFILES[profile]
    keys = Keys(profile, b"k" * (key + salt), b"k" * (key + salt))
    near, far = made(keys), made(keys)
    good = [
        far.protect(rtp.header(96, number & 0xFFFF, 1, 7, marker=True) + b"payload" * 9)
        for number in range(65530, 65560)
    ]
    reports = [far.protect_rtcp(rtcp.picture_loss(1, 2)) for _ in range(9)]

    def run(data: bytes) -> None:
        drops: list[str] = []
        read = near.read([data], drops.append)
        assert len(read) + len(drops) == 1
        try:
            near.unprotect_rtcp(data)
        except SrtpError:
            return

    return Target(name, run, (), (*good, *reports))


def targets() -> dict[str, Target]:
    """Return all parsers by name."""
    header = rtp.header(96, 7, 8, 9, marker=True, block=rtp.extension_block({1: b"0", 3: b"\0\1"}))
    check = stun.check(bytes(12), ("ours", "theirs"), b"p" * 22, priority=1, tie_breaker=2, nominate=True)
    arrivals = transport_feedback.Arrivals()
    for number in (*range(30), 40, 41, 39, 80):
        arrivals.add(number, number / 100 if number % 7 else 1.0)
    feedback = b"".join(arrivals.build(1, 2))
    compound = rtcp.receiver_report(rtcp.ReceiverInfo(1, (rtcp.Report(1, 2, 3, 4, 5, 6, 7),)))
    compound += rtcp.source_description(1, "silian") + rtcp.nack(1, 2, [1, 2, 30, 31]) + rtcp.picture_loss(1, 2)
    compound += rtcp.estimate(1, [2], 10**6) + rtcp.full_intra_request(1, 2, 3) + rtcp.bye(1) + feedback
    frame = b"\x90\x80\x81\x02\x30\x01\x00\x9d\x01\x2a\x80\x02\xe0\x01" + bytes(40)
    parameters = bytes.fromhex("6742c01fda014016e840000003004000000c83c60ca8")
    units = (parameters, b"\x7c\x85" + bytes(30), b"\x78\x00\x04\x67\x42\x00\x1f\x00\x02\x68\x01", b"\x65" + bytes(30))
    packed = b"".join(bytes([(len(u) - 1) // 4 + 1]) + u.ljust(5 + (len(u) - 1) // 4 * 4, b"\0") for u in units)
    media = b"".join(
        bytes([20])
        + (rtp.header(kind, number & 0xFFFF, number * 90, 9, marker=bool(number & 1)) + frame)[:81].ljust(81, b"\1")
        for number, kind in enumerate((96, 96, 97, 102, 96, 103, 96), 65533)
    )
    sequence, picture = bytes.fromhex("0800000004477e1a257c8020"), b"\x30" + bytes(38)
    av1_whole = av1_payloads([sequence, picture], key=True)
    av1_parts = av1_payloads([sequence, picture], key=True, room=15) + av1_payloads([picture] * 3, key=False)
    vp9_key = bytes.fromhex("82498342001df010d60838241c185c1000b847d8") + bytes(21)
    h265_sets = (b"\x40\x01\x0c\x01", H265_SPS, b"\x44\x01\xc1\x72")
    aggregate = b"\x60\x01" + b"".join(len(one).to_bytes(2, "big") + one for one in h265_sets)
    h265_key = (aggregate, b"\x62\x01\x93" + bytes(30), b"\x62\x01\x53" + bytes(30))
    offer = sdp.offer(LOCAL, SessionKind.RELAY, iter((5, 6, 7)))[0]
    answer = sdp.answer(offer, LOCAL, SessionKind.WHIP, iter(range(9))).sdp
    viewing = sdp.offer(LOCAL, SessionKind.PULL, iter((5, 6, 7)))[0]
    trickle = b"a=ice-ufrag:Qn0l\r\na=ice-pwd:3rPtWcvqvd1vkXIpbF7P+E1V\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    trickle += b"a=candidate:1 1 UDP 2130706431 127.0.0.1 5000 typ host\r\na=end-of-candidates\r\n"
    asks = wire.pack_ask(wire.Ask(7, wire.Close("s", wire.EndReason.CLOSED)))
    answers = wire.pack_answer(wire.Reply(7, codec="vp8"), b"block")
    bad = (MalformedError,)
    found = [
        Target("stun", _stun, bad, (check, stun.success(stun.parse(check), ("127.0.0.1", 9), b"p"))),
        Target(
            "rtp", _rtp, bad, (header + b"payload", rtp.probe(header), b"\x90" + header[1:12] + b"\x10\0\0\1\1\1\1\0")
        ),
        Target("rtcp", _rtcp, bad, (compound, feedback)),
        Target("transport_feedback", _feedback, bad, (feedback[4:], feedback[8:])),
        Target("vp8", _vp8, bad, (frame, bytes([12]) + frame[:49])),
        Target("h264", _h264, bad, (*units, packed)),
        Target("vp9", _of_codec("vp9"), bad, (_packed(vp9_packets([vp9_key, vp9_key], key=True)), vp9_key)),
        Target("av1", _of_codec("av1"), bad, (_packed(av1_whole), _packed(av1_parts), b"\x0a\x0b" + sequence[1:])),
        Target("h265", _of_codec("h265"), bad, (_packed(h265_key), h265.annex_b([aggregate]), *h265_key)),
        Target("picture_size", _picture_size, bad, (parameters,)),
        Target("ingest", _ingest, (), (media,)),
        Target("sdp", _sdp, (), (offer.encode(), viewing.encode())),
        Target("sdp_answer", _answer, (BadMediaError,), (answer.encode(),)),
        Target("fragment", _fragment, (BadMediaError,), (trickle,)),
        Target("framing", _deframer, bad, (framing.frame(header) * 3,)),
        Target("tapping", _reader, bad, (bytes(200),)),
        Target("wire", _wire, (), (asks, answers)),
        _dtls_target(),
        _srtp_target("srtp_gcm", b"SRTP_AEAD_AES_128_GCM", GcmSrtp.of),
        _srtp_target("srtp_cm", b"SRTP_AES128_CM_SHA1_80", Srtp),
    ]
    return {target.name: target for target in found}


def main() -> int:
    """Run for a time; returns 1 where something came out that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--target", action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true")
    arguments, others = parser.parse_known_args()
    chosen = [target for name, target in targets().items() if not arguments.target or name in arguments.target]
    if arguments.guided:
        return _guided(chosen[0], others)
    chance, failed = random.Random(arguments.seed), 0
    for target in chosen:
        until, count = time.monotonic() + arguments.seconds / len(chosen), 0
        slowest, worst = 0.0, b""
        while time.monotonic() < until:
            data = damaged(target.seeds, chance)
            count += 1
            began = time.perf_counter()
            try:
                target.try_one(data)
            except Exception as error:  # noqa: BLE001 - whatever comes out is what is looked for
                failed += 1
                sys.stdout.write(f"{target.name}: {error!r} on {data.hex()}\n")
                break
            took = time.perf_counter() - began
            if took > slowest:
                slowest, worst = took, data
        line = f"{target.name}: {count} inputs, slowest {slowest * 1000:.1f} ms on {len(worst)} bytes\n"
        sys.stdout.write(line)
    return int(failed > 0)


def _guided(target: Target, others: list[str]) -> int:
    import atheris  # type: ignore[import-not-found]  # optional: the suite does without it

    for name in [name for name in sys.modules if name.startswith("gateway.adapters.media_embedded.rules")]:
        module = sys.modules[name]
        for key, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__module__", "") == name and hasattr(value, "__code__"):
                setattr(module, key, atheris.instrument_func(value))
    atheris.Setup([sys.argv[0], *others], target.try_one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
