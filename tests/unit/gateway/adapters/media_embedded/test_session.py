"""A session that ended leaves nothing behind, and not by the collector's grace: it comes to the worker rarely."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from OpenSSL import SSL

from gateway.adapters.media_embedded.backends import path_of
from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.hub import Hub
from gateway.adapters.media_embedded.rules.gop import Gop
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.run import Run
from gateway.adapters.media_embedded.srtp import PROFILES, Keys
from gateway.adapters.media_embedded.wire import Open
from gateway.ports.media import EndReason, SessionKind

GCM = b"SRTP_AEAD_AES_128_GCM"


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("backend", ["reference", "batched", "compiled"])
async def test_a_session_that_ended_is_gone_at_once(no_collector: None, backend: str) -> None:
    path = path_of(backend, str(build.ensure(build.HERE)))
    hub = Hub(SSL.Context(SSL.DTLS_METHOD), path, lambda _: None)
    port = path.port("127.0.0.1", 0, lambda *_: None, lambda _: None)
    hub.open(Open("o", SessionKind.WHEP, "s", Credentials("o", "p"), Credentials("r", "q"), "", (), 0.0), port)
    session = hub.sessions["o"]
    session.address = ("127.0.0.1", 9)
    session.addresses.add(session.address)
    session._begin_dtls()
    session.dtls(b"\x16" + bytes(30))
    length = PROFILES[GCM][1] + PROFILES[GCM][2]
    session._done(Keys(GCM, bytes(length), bytes(length)))
    watched = [weakref.ref(one) for one in (session, session._dtls, session.srtp, session.line)]
    hub.close("o", EndReason.CLOSED)
    del session
    await asyncio.sleep(0)
    assert [one() for one in watched] == [None] * len(watched)
    port.close()


def test_a_leg_and_what_it_sent_go_together(no_collector: None) -> None:
    leg = Leg(Plan("audio", 5, {"opus": 111}, {}, 7, 0), "o")
    for number in range(4):
        sent = leg.take(Run([Media(1, number, "opus", False, number * 960, b"sound", False, 0.0)]), Gop(), 1, 0.0)
        assert len(sent) == 1
    watched = weakref.ref(leg)
    del leg, sent
    assert watched() is None
