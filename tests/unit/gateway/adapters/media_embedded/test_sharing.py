"""Who shows what where lines are thin or the worker is late: real sessions in a hub without a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.adapters.media_embedded import dtls, identity
from gateway.adapters.media_embedded.hub import Event, Hub
from gateway.adapters.media_embedded.paths import ReferencePath
from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.socket_port import SocketPort
from gateway.adapters.media_embedded.wire import Open, Wanted
from gateway.ports.media import EndReason, Layer, SessionKind, Showing, Slot

VP8 = {96: Codec("vp8", 90000)}
MAIN_BPS, THUMB_BPS = 800_000, 80_000


class Stage:
    """A hub with sessions and sources, whose clock is the test's."""

    def __init__(self, hub: Hub, port: SocketPort, events: list[Event]) -> None:
        self.hub, self.port, self.events = hub, port, events
        self.sharing = hub.seating.sharing

    def session(self, kind: SessionKind, stream: str, *names: str) -> Session:
        name = f"{kind.value}-{len(self.hub.sessions)}"
        tracks = tuple(
            Track("audio" if one.startswith("audio") else "video", str(place), 0, VP8, {}, 5 + place, name=one)
            for place, one in enumerate(names)
        )
        secrets = Credentials(name, "p" * 22)
        assert self.hub.open(Open(name, kind, stream, secrets, secrets, "AB", tracks, 0.0), self.port)
        return self.hub.sessions[name]

    def source(self, stream: str, *layers: str) -> None:
        """Let a camera send its layers at their rates for some seconds."""
        made = self.hub.seating.stream(stream)
        made.set_source("camera", {layer: Ingest("video", VP8, {}) for layer in layers})
        for number in range(100):
            now = number / 20
            for layer in layers:
                size = (MAIN_BPS if layer == "main" else THUMB_BPS) // 8 // 20
                made.packets(layer, [Packet(96, True, number, number * 4500, 9, b"\x10\x00" + bytes(size - 2))], now)
            made.tick(now)

    def hang(self, *slots: Slot) -> Session:
        wall = self.session(SessionKind.WALL, "", *(f"video/{slot.index}" for slot in slots))
        assert self.hub.assign(wall.spec.session, slots)
        return wall

    def shown(self, session: Session) -> list[str]:
        return [seat.limit.value for seat in session.seats.values()]


@pytest.fixture
async def stage(tmp_path: Path) -> Iterator[Stage]:
    own = identity.load_or_make(tmp_path / "own.pem", datetime.now(UTC))
    events: list[Event] = []
    with _port() as port:
        hub = Hub(dtls.context(own.certificate, own.key), ReferencePath(), events.append, uplink_bps=1_200_000)
        yield Stage(hub, port, events)
        for name in list(hub.sessions):
            hub.close(name, EndReason.SHUTDOWN)


@contextmanager
def _port() -> Iterator[SocketPort]:
    port = SocketPort("127.0.0.1", 0, lambda *_: None, lambda: None)
    try:
        yield port
    finally:
        port.close()


def slots(*priorities: int) -> list[Slot]:
    return [Slot("video", place, f"32061{place}/room", Layer.MAIN, one) for place, one in enumerate(priorities)]


async def test_a_relay_is_never_without_any_picture(stage: Stage) -> None:
    stage.source("320612/room", "main", "thumb")
    relay = stage.session(SessionKind.RELAY, "320612/room", "main", "thumb")
    relay.line.heard(rtcp.Estimate(100_000), 10.0)
    stage.sharing.fit(relay, 10.0)
    assert stage.shown(relay) == ["saved", "thumb"]
    only = stage.session(SessionKind.RELAY, "320612/room", "main")
    only.line.heard(rtcp.Estimate(100_000), 10.0)
    stage.sharing.fit(only, 10.0)
    assert stage.shown(only) == ["main"], "with nothing on it the line would seem as thin for ever"


async def test_a_line_gives_way_from_the_lowest_priority(stage: Stage) -> None:
    for place in range(3):
        stage.source(f"32061{place}/room", "main", "thumb")
    wall = stage.hang(*slots(2, 1, 2))
    everybody = stage.hub.sessions.values()
    stage.sharing.share(everybody, 0.0, 5.0)
    assert stage.shown(wall) == ["main"] * 3, "nothing is known of the line"
    for at, bitrate, expected in [
        (6.0, 2_000_000, ["main", "main", "thumb"]),
        (7.0, 1_100_000, ["thumb", "main", "thumb"]),
        (8.0, 900_000, ["saved", "main", "saved"]),
        (9.0, 100_000, ["saved", "thumb", "saved"]),
    ]:
        wall.line.heard(rtcp.Estimate(bitrate), at)
        assert stage.sharing.share(everybody, 0.0, at)
        assert stage.shown(wall) == expected


async def test_a_new_camera_in_a_slot_of_a_thin_line_does_not_burst(stage: Stage) -> None:
    for place in range(2):
        stage.source(f"32061{place}/room", "main", "thumb")
    wall = stage.hang(*slots(2))
    wall.line.heard(rtcp.Estimate(300_000), 5.0)
    stage.sharing.share(stage.hub.sessions.values(), 0.0, 5.0)
    assert stage.shown(wall) == ["thumb"]
    wall.line.heard(rtcp.Estimate(300_000), wall.spec.opened_at + 5.0)
    stage.hub.seating.assign(wall, [Slot("video", 0, "320611/room")], 5.1)
    assert stage.shown(wall) == ["thumb"]


async def test_a_viewers_only_picture_is_never_left_out(stage: Stage) -> None:
    stage.source("320610/room", "main")
    viewer = stage.session(SessionKind.WHEP, "320610/room", "video/0")
    viewer.line.heard(rtcp.Estimate(100_000), 5.0)
    stage.sharing.share(stage.hub.sessions.values(), 0.0, 5.0)
    assert stage.shown(viewer) == ["main"]


async def test_all_relays_share_one_limit(stage: Stage) -> None:
    relays = []
    for place in range(2):
        stage.source(f"32061{place}/room", "main", "thumb")
        relays.append(stage.session(SessionKind.RELAY, f"32061{place}/room", "main", "thumb"))
    stage.sharing.share(stage.hub.sessions.values(), 0.0, 5.0)
    assert [stage.shown(relay) for relay in relays] == [["main", "thumb"], ["saved", "thumb"]], "every camera, if small"
    stage.hub.carry(relays[0].spec.session, frozenset())
    stage.sharing.share(stage.hub.sessions.values(), 0.0, 6.0)
    stage.sharing.share(stage.hub.sessions.values(), 0.0, 9.0)
    assert stage.shown(relays[1]) == ["main", "thumb"], "what rests leaves its share to the others"


async def test_a_late_worker_sheds_thumbs_then_pictures_and_counts_them(stage: Stage) -> None:
    stage.source("320610/room", "main", "thumb")
    relay = stage.session(SessionKind.RELAY, "320610/room", "main")
    small = [Slot("video", place, "320610/room", Layer.THUMB, 3) for place in range(2)]
    wall = stage.hang(
        *small, Slot("video", 2, "320610/room", Layer.MAIN, 2), Slot("video", 3, "320610/room", priority=1)
    )
    everybody = stage.hub.sessions.values()
    seen = []
    for step in range(50):
        stage.sharing.share(everybody, 0.1, step / 10)
        seen.append([place for place, limit in enumerate(stage.shown(wall)) if limit == "shed"])
    assert [one for place, one in enumerate(seen) if place == 0 or one != seen[place - 1]] == [
        [], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3],
    ]  # fmt: skip
    assert stage.sharing.shed == {"shed_thumb": 2, "shed_main": 2}
    assert stage.shown(relay) == ["main"]
    assert wall.seats["video/3"].showing(5.0) is Showing.SHED
    for step in range(500):
        stage.sharing.share(everybody, 0.0, 5.0 + step / 10)
    assert "shed" not in stage.shown(wall)


async def test_what_is_left_out_is_not_asked_for(stage: Stage) -> None:
    stage.source("320610/room", "main", "thumb")
    wall = stage.hang(Slot("video", 0, "320610/room"))
    wall.line.heard(rtcp.Estimate(300_000), 5.0)
    stage.hub.seating.share([wall], 0.0, 5.0)
    told = [event.layers for event in stage.events if isinstance(event, Wanted)]
    assert told == [(Layer.MAIN,), (Layer.THUMB,)]
