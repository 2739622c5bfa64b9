"""The WHIP/WHEP client against a real HTTP server on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from protocols.aio.whip import MAX_ANSWER, WhepClient, WhipClient
from protocols.errors import LinkError, RefusedError


@dataclass
class Far:
    """A scripted HTTP server: answers each request with the next of `answers`, keeps what was asked."""

    answers: list[bytes]
    url: str = ""
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0
                )
                self.asked.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def far(*answers: bytes) -> AsyncIterator[Far]:
    end = Far(list(answers))
    server = await asyncio.start_server(end.serve, "127.0.0.1", 0)
    end.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/whip/320623/room"
    try:
        yield end
    finally:
        server.close()
        await server.wait_closed()


async def test_offer_patch_delete() -> None:
    made = answer("201 Created", b"v=0", Location="/whip/320623/room/abc", ETag='"one"')
    restarted = answer("200 OK", b"a=ice-ufrag:x", ETag='"two"')
    script = (made, answer("204 No Content"), restarted, answer("200 OK"))
    async with far(*script) as end, WhipClient(end.url, "secret") as client:
        got = await client.offer("offer-sdp")
        assert (got.sdp, got.etag) == ("v=0", '"one"')
        assert got.location == end.url + "/abc"
        assert await client.patch("a=end-of-candidates") is None
        assert await client.patch("a=ice-ufrag:n", restart=True) == "a=ice-ufrag:x"
        await client.delete()
        await client.delete()
    post, trickle, restart, gone = end.asked
    assert b"authorization: bearer secret" in post.lower()
    assert post.endswith(b"offer-sdp")
    assert b'if-match: "one"' in trickle.lower()
    assert b"if-match: *" in restart.lower()
    assert gone.startswith(b"DELETE /whip/320623/room/abc ")


async def test_a_refusal_carries_the_far_ends_code() -> None:
    body = b'{"code":"not_allowed","detail":"no right"}'
    async with far(answer("403 Forbidden", body)) as end, WhepClient(end.url, "t") as client:
        with pytest.raises(RefusedError, match="no right") as caught:
            await client.offer("x")
    assert caught.value.reason == "not_allowed"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer("404 Not Found", b"<html>"), "http_404"),
        (answer("200 OK", b"v=0"), "not_whip"),
        (answer("201 Created", b"v=0"), "not_whip"),
        (answer("307 Temporary Redirect", Location="http://example.invalid/"), "http_307"),
        (answer("201 Created", b"v=0", Location="http://example.invalid/whip/1"), "foreign_location"),
        (answer("400 Bad Request", b"[1]"), "http_400"),
    ],
)
async def test_refusals(reply: bytes, reason: str) -> None:
    async with far(reply) as end, WhipClient(end.url, "t") as client:
        with pytest.raises(RefusedError) as caught:
            await client.offer("x")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "reply",
    [
        answer("503 Service Unavailable"),
        answer("201 Created", b"x" * (MAX_ANSWER + 1), Location="/whip/1"),
        b"not http at all\r\n\r\n",
        answer("201 Created", b"\xff\xfe", Location="/whip/1"),
    ],
)
async def test_a_failing_far_end_is_a_link_error(reply: bytes) -> None:
    async with far(reply) as end, WhipClient(end.url, "t") as client:
        with pytest.raises(LinkError) as caught:
            await client.offer("x")
    assert not isinstance(caught.value, RefusedError)


async def test_nobody_there_is_a_link_error() -> None:
    async with far() as end:
        pass
    async with WhipClient(end.url, "t") as client:
        with pytest.raises(LinkError):
            await client.offer("x")


async def test_a_session_that_is_already_gone_counts_as_ended() -> None:
    made = answer("201 Created", b"v=0", Location="/whip/320623/room/abc")
    async with far(made, answer("404 Not Found")) as end, WhipClient(end.url, "t") as client:
        await client.offer("x")
        await client.delete()
        assert client.location is None


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with far(answer("201 Created", b"v=0", Location="/s")) as end, WhipClient(end.url, "t") as client:
        assert (await client.offer("x")).sdp == "v=0"
