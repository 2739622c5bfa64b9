"""PATCH: trickled candidates and ICE restarts (RFC 9725 section 4.3)."""

import os
import socket

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.rules import fragment, stun
from gateway.ports.media import SessionAnswer
from protocols.errors import BadMediaError, NotFoundError, WrongMomentError
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whip

pytestmark = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path

ROOM = "320623/room"
CREDENTIALS = "a=ice-ufrag:newufrag\r\na=ice-pwd:newpasswordnewpassword12\r\n"


async def test_trickle_and_restart(engine: EmbeddedMediaEngine) -> None:
    answers: list[SessionAnswer] = []

    async def post(offer: str) -> str:
        answers.append(await engine.play(ROOM, offer))
        return answers[0].sdp

    async with publisher(whip(engine, ROOM)), viewer(post) as seen:
        (first,) = answers
        trickled = await engine.trickle(first.session_id, "a=end-of-candidates\r\n", first.etag)
        assert (trickled.sdp_fragment, trickled.etag) == (None, first.etag)
        assert (await engine.trickle(first.session_id, "", f'"{first.etag}"')).sdp_fragment is None

        restarted = await engine.trickle(first.session_id, CREDENTIALS, "*")
        assert restarted.etag != first.etag
        assert restarted.sdp_fragment is not None
        with pytest.raises(WrongMomentError):
            await engine.trickle(first.session_id, "", first.etag)
        await seen.sees("320623", 3), "the old path carries on until the new one is checked"

        fresh = fragment.read(restarted.sdp_fragment).credentials
        assert fresh is not None
        assert fresh.ufrag not in first.sdp
        await _moves(engine.port, fresh.ufrag, fresh.password)


async def _moves(port: int, ufrag: str, password: str) -> None:
    """Check with the new credentials from another address: media comes there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.settimeout(0)
        elsewhere.bind(("127.0.0.1", 0))
        check = stun.check(
            os.urandom(12), (ufrag, "newufrag"), password.encode(), priority=1, tie_breaker=1, nominate=True
        )
        elsewhere.sendto(check, ("127.0.0.1", port))
        kinds: set[str] = set()

        def arrived() -> bool:
            while True:
                try:
                    data = elsewhere.recv(4096)
                except BlockingIOError:
                    return kinds == {"stun", "media"}
                if data[0] < 4:
                    assert stun.parse(data).authentic(password.encode())
                    kinds.add("stun")
                elif 128 <= data[0] <= 191:
                    kinds.add("media")

        await until(arrived)


async def test_what_does_not_fit_is_refused(engine: EmbeddedMediaEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.trickle("nobody", "", "*")
    answers: list[SessionAnswer] = []

    async def post(offer: str) -> str:
        answers.append(await engine.publish(ROOM, offer))
        return answers[0].sdp

    async with publisher(post):
        session, etag = answers[0].session_id, answers[0].etag
        for tag in (None, "", "another"):
            with pytest.raises(WrongMomentError):
                await engine.trickle(session, "", tag)
        with pytest.raises(BadMediaError):
            await engine.trickle(session, "a=candidate:rubbish", etag)
        with pytest.raises(BadMediaError):
            await engine.trickle(session, "a=end-of-candidates\r\n", "*")
