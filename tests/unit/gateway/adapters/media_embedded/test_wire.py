"""The language between control and worker."""

import asyncio

import pytest

from gateway.adapters.media_embedded import wire
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Codec
from gateway.ports.media import EndReason, SessionKind, StreamState

OWN, FAR = Credentials("a", "b"), Credentials("c", "d")
TRACK = Track("video", "0", 1, {96: Codec("vp8", 90000)}, {97: 96}, 5)
REQUESTS: list[wire.Request] = [
    wire.Configure("cert", "key", ("127.0.0.1",), 0, "batched", 0.001),
    wire.Reserve("s"),
    wire.Open("s", SessionKind.WHIP, "320623/room", OWN, FAR, "AB", (TRACK,), 1.5),
    wire.Open("s", SessionKind.RELAY, "x/y", OWN, FAR, "AB", (), 1.5, False, (("127.0.0.1", 5),)),
    wire.Restart("s", OWN),
    wire.Close("s", EndReason.CLOSED),
    wire.Picture("320623/room", None, 3.0),
    wire.Measure(),
]
ANSWERS: list[wire.Answer] = [
    wire.Reply(3, port=7),
    wire.Reply(4, figures=wire.Figures((), {"whip": 1}, {"replay": 2}, 0.5, {"backend": "batched", "gso": "on"})),
    wire.Up("s"),
    wire.Over("s", EndReason.CONSENT_LOST),
    wire.Changed("320623/room", StreamState.LIVE, 0.2),
]


def reader(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return stream


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.op)
async def test_requests_arrive_as_they_were(request_: wire.Request) -> None:
    assert await wire.read_ask(reader(wire.pack_ask(wire.Ask(9, request_)))) == wire.Ask(9, request_)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: a.op)
async def test_answers_arrive_as_they_were(answer: wire.Answer) -> None:
    assert await wire.read_answer(reader(wire.pack_answer(answer, b"block"))) == (answer, b"block")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\5",
        b"\0\0\0\2\0\0\0\0{}",
        b"\xff" * 20,
        b"\0\0\0\4\0\0\0\0nope",
        wire.pack_ask(wire.Ask(1, wire.Measure())),
    ],
)
async def test_nonsense_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        await wire.read_answer(reader(data))
    if data and not data.endswith(b'"}}'):
        with pytest.raises(wire.WireError):
            await wire.read_ask(reader(data))
