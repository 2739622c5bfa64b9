"""Consent checks that are answered where they come in: the same answers, and the same agent, as by the rules."""

import asyncio
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.compiled.library import MAX_PASSWORD, MAX_USER
from gateway.adapters.media_embedded.compiled.path import CompiledPath
from gateway.adapters.media_embedded.hub import Hub
from gateway.adapters.media_embedded.paths import BatchedPath, PacketPath
from gateway.adapters.media_embedded.rules import stun
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.srtp import Keys
from gateway.adapters.media_embedded.wire import Open
from gateway.ports.media import EndReason, SessionKind
from tests.unit.gateway.adapters.media_embedded.compiled.test_flight import LENGTH, LIBRARY, PROFILE

CLOCK = {"now": 100.0}
NAME = "viewer"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "now", lambda: CLOCK["now"])


class House:
    """A session and two addresses of its far end, `wide` by IPv6."""

    def __init__(self, path: PacketPath, *, wide: bool) -> None:
        self.hub = Hub(None, path, lambda _: None)  # None: nobody shakes hands here
        host, family = ("::1", socket.AF_INET6) if wide else ("127.0.0.1", socket.AF_INET)
        self.python: list[bytes] = []
        self.port = path.port(host, 0, self._receive, self.hub.drained)
        self.mouths = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(2)]
        for mouth in self.mouths:
            mouth.bind((host, 0))
            mouth.settimeout(0)
        self.to = (host, self.port.number)
        spec = Open(NAME, SessionKind.WHEP, "s", Credentials("user", "password"), Credentials("r", "q"), "", (), 0.0)
        self.hub.open(spec, self.port)
        self.session = self.hub.sessions[NAME]
        self.session._begin_dtls = lambda: None
        self.hub._ticker.cancel()
        self.say(0, request(nominate=True))
        self.session.srtp = path.secure(Keys(PROFILE, bytes(LENGTH), bytes(LENGTH)))
        self.session._tell_addresses()
        self.session._tell_settled()
        self.hub._young.clear()
        self.python.clear()

    def _receive(self, port: object, data: bytes, source: tuple[str, int]) -> None:
        self.python.append(data)
        self.hub.receive(port, data, source)

    def say(self, mouth: int, data: bytes) -> list[bytes]:
        """Send a message, and return what is answered."""
        self.mouths[mouth].sendto(data, self.to)
        self.port._drain()
        try:
            return [self.mouths[mouth].recv(2048)]
        except BlockingIOError:
            return []

    def state(self) -> dict[str, object]:
        """Return what the agent knows, with addresses by the socket that they are of."""
        self.session._count_checks()
        names = {mouth.getsockname()[:2]: place for place, mouth in enumerate(self.mouths)}
        agent = dict(vars(self.session.agent))
        agent["_paths"] = {names[address]: path for address, path in agent["_paths"].items()}
        agent["selected"] = names.get(agent["selected"])
        return agent | {"dropped": dict(self.hub.dropped), "bound": sorted(names[a] for a in self.session.addresses)}

    def close(self) -> None:
        """End it."""
        self.hub.close(NAME, EndReason.SHUTDOWN)
        if self.hub._ticker is not None:
            self.hub._ticker.cancel()
        self.port.close()
        for mouth in self.mouths:
            mouth.close()


def request(
    *,
    user: str = "user",
    password: str = "password",
    nominate: bool = False,
    extra: list[tuple[int, bytes]] | None = None,
    kind: int = stun.REQUEST,
    priority: bytes = b"\x6e\0\1\xff",
) -> bytes:
    attributes = [(stun.USERNAME, f"{user}:r".encode()), (stun.PRIORITY, priority), (stun.CONTROLLING, bytes(8))]
    attributes += [(stun.USE_CANDIDATE, b"")] if nominate else []
    return stun.build(kind, b"transaction!", attributes + (extra or []), password.encode())


MESSAGES = st.one_of(
    st.sampled_from(
        [request(), request(nominate=True), request(priority=b"\0\0\0\7"), request(user="new", password="secret")]
    ),
    st.builds(
        request,
        user=st.sampled_from(["user", "use", "users", "new", ""]),
        password=st.sampled_from(["password", "", "secret"]),
        nominate=st.booleans(),
        kind=st.sampled_from([stun.REQUEST] * 4 + [stun.INDICATION, stun.SUCCESS]),
        priority=st.sampled_from([b"\0\0\0\1", bytes(4), b"\1", b""]),
        extra=st.lists(
            st.tuples(
                st.sampled_from([stun.CONTROLLED, stun.PRIORITY, stun.USERNAME, stun.MAPPED, 0xC057, 0x0033, 0x8022]),
                st.binary(max_size=9),
            ),
            max_size=2,
        ),
    ),
    st.builds(
        lambda data, at, bit: (
            data[: at % len(data)] + bytes([data[at % len(data)] ^ 1 << bit]) + data[at % len(data) + 1 :]
        ),
        st.just(request(nominate=True)),
        st.integers(0, 200),
        st.integers(0, 7),
    ),
    st.builds(lambda data, size: data[:size], st.just(request()), st.integers(1, 100)),
    st.builds(
        lambda body: b"\0\1" + struct.pack("!HI", len(body), stun.COOKIE) + b"transaction!" + body,
        st.binary(max_size=60),
    ),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 2]), MESSAGES), max_size=14), st.booleans())
def test_every_check_is_answered_as_the_rules_answer_it(script: list[tuple[int, bytes]], wide: bool) -> None:
    async def compare() -> None:
        CLOCK["now"] = 100.0
        houses = [House(path, wide=wide) for path in (BatchedPath(), CompiledPath(LIBRARY))]
        try:
            for mouth, data in script:
                CLOCK["now"] += 1.7
                if mouth == 2:
                    for house in houses:
                        house.hub.restart(NAME, Credentials("new", "secret"))
                    continue
                one, other = (house.say(mouth, data) for house in houses)
                assert [apart(house, mouth, found) for house, found in zip(houses, (one, other), strict=True)] == [
                    apart(houses[0], mouth, one)
                ] * 2
                for house in houses:
                    house.session.tick(CLOCK["now"])
                assert houses[0].state() == houses[1].state()
        finally:
            for house in houses:
                house.close()

    asyncio.run(compare())


def apart(house: House, mouth: int, found: list[bytes]) -> list[object]:
    """Return answers without what bears the socket's own number: that must be right, and so must the signatures."""
    out: list[object] = []
    own = house.mouths[mouth].getsockname()[:2]
    for data in found:
        message = stun.parse(data)  # checks the fingerprint
        signed = [password for password in (b"password", b"secret") if message.authentic(password)]
        mapped = stun.xor_mapped(own, message.transaction)[1]
        kept = {
            kind: value for kind, value in message.attributes.items() if kind not in {stun.XOR_MAPPED, stun.INTEGRITY}
        }
        out.append((message.kind, message.transaction, kept, signed, message.attributes.get(stun.XOR_MAPPED) == mapped,
                    len(data)))  # fmt: skip
    return out


@pytest.mark.parametrize("wide", [False, True])
async def test_nobody_else_sees_a_check_that_changes_nothing(wide: bool) -> None:
    house = House(CompiledPath(LIBRARY), wide=wide)
    for nominate in (False, True):
        (answer,) = house.say(0, request(nominate=nominate))
        assert stun.parse(answer).kind == stun.SUCCESS
    assert house.python == []
    CLOCK["now"] += 29.0
    assert house.session.agent.tick(CLOCK["now"]) == []
    house.say(1, request())
    assert len(house.python) == 1, "another address may be a change"
    house.close()


@given(st.binary(max_size=MAX_USER + 3), st.binary(max_size=MAX_PASSWORD + 3))
def test_whom_to_answer_is_bounded(user: bytes, password: bytes) -> None:
    number = LIBRARY.open([(bytes(16), 1)] * 3)
    assert LIBRARY.consent(number, b"", user, password) == (len(user) <= MAX_USER and len(password) <= MAX_PASSWORD)
    LIBRARY.close(number)
    assert not LIBRARY.consent(number, b"", user, password)
    assert LIBRARY.consented(number) == (0, 0.0, 0.0, 0)
