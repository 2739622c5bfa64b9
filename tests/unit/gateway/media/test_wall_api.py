"""A wall over HTTP: who may hold one, what its slots want and let go, and why they show nothing."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.events import EventBus, WallSlotChanged
from gateway.media.machine import Kind
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.media.wall_api import routes
from gateway.metrics import Metrics
from gateway.ports.media import EndReason, Layer, SessionKind, Showing, Slot, SlotChanged
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role
from gateway.web.journal import AuditEntry
from gateway.web.media_tokens import MediaTokens
from protocols.aio.clock import ManualClock
from protocols.errors import NotAuthenticatedError
from tests.support.databases import unopened
from tests.support.engines import PaperEngine
from tests.support.rooms import Commands, Ways, until

A, B = "320612/room", "320623/room"
SDP = {"content-type": "application/sdp"}
PEOPLE = {
    "wang": Caller("wang", "王", frozenset({Role.DISPATCHER})),
    "li": Caller("li", "李", frozenset({Role.CALLER})),
    "shen": Caller("shen", "沈", frozenset({Role.AUDITOR})),
    "new": Caller("new", "新", frozenset({Role.DISPATCHER}), must_change_password=True),
}


class People:
    async def authenticate(self, token: str) -> Caller:
        if token not in PEOPLE:
            raise NotAuthenticatedError("unknown session")
        return PEOPLE[token]


class City:
    """One media room on paper behind its HTTP."""

    def __init__(self) -> None:
        self.clock, self.engine, self.bus = ManualClock(), PaperEngine(), EventBus()
        self.ways = Ways.city(("320612", "320623"))
        self.commands = Commands("320600", self.clock)
        tokens = MediaTokens(Ed25519PrivateKey.generate(), "320600")
        needs = MediaNeeds(
            self.engine, self.ways, self.commands, tokens, self.clock, self.bus, Metrics(), unopened(self.clock)
        )
        self.media = MediaService(needs, node="320600", base_url=lambda: "http://city")
        self.told: list[WallSlotChanged] = []
        self.bus.listen(WallSlotChanged, self.told.append)
        self.deeds: list[tuple[str, str, str]] = []
        site = Site(
            centre="320600", version="0", authenticator=People(), journal=self, metrics=Metrics(),
            routers=[routes(self.media)], ready=lambda: {},
        )  # fmt: skip
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=build_site(site)), base_url="http://city")

    async def record(self, entry: AuditEntry) -> None:
        self.deeds.append((entry.actor, entry.action, entry.target))

    async def open(self, person: str = "wang") -> tuple[str, dict[str, str]]:
        granted = (await self.http.post("/api/v1/wall", headers={"authorization": f"Bearer {person}"})).json()
        head = {"authorization": f"Bearer {granted['token']}"}
        answer = await self.http.post(granted["wall_url"], content="v=0 offer", headers={**SDP, **head})
        assert answer.status_code == 201, answer.text
        return answer.headers["location"], head

    async def put(self, wall: str, head: dict[str, str], *slots: dict[str, Any]) -> httpx.Response:
        return await self.http.put(f"{wall}/slots", json=list(slots), headers=head)

    def holders(self, stream: str) -> dict[str, Kind]:
        demand = self.media._demands.get(stream)
        return dict(demand.holders) if demand is not None else {}


@pytest.fixture
async def city() -> AsyncIterator[City]:
    made = City()
    async with made.media, made.http:
        await until(lambda: made.engine.heard)
        yield made


def slot(index: int, stream: str | None, **more: Any) -> dict[str, Any]:
    return {"index": index, "stream": stream, **more}


async def test_slots_are_wanted_while_they_show_and_given_back_after(city: City) -> None:
    wall, head = await city.open()
    stage = slot(0, A, priority=1)
    answer = await city.put(wall, head, stage, slot(1, B, layer="thumb", priority=3), slot(0, A, kind="audio"))
    assert answer.status_code == 200, answer.text
    assert [item["why"] for item in answer.json()["items"]] == ["starting"] * 3
    assert city.engine.assigned[1] == Slot("video", 1, B, Layer.THUMB, 3)
    assert list(city.holders(A).values()) == [Kind.WALL, Kind.WALL]
    await city.put(wall, head, slot(0, None), slot(0, None, kind="audio"), slot(1, A))
    assert len(city.holders(A)) == 1
    assert city.holders(B) == {}
    assert (await city.http.delete(wall, headers=head)).status_code == 200
    assert city.holders(A) == {}
    assert (await city.http.get(f"{wall}/slots", headers=head)).status_code == 404


async def test_a_lost_wall_lets_its_streams_go(city: City) -> None:
    wall, head = await city.open()
    await city.put(wall, head, slot(0, A))
    city.engine.lose(city.engine.of(SessionKind.WALL)[0], EndReason.CONSENT_LOST)
    await until(lambda: not city.holders(A))
    assert (await city.put(wall, head, slot(0, A))).status_code == 404


async def test_each_pane_is_told_why_it_shows_nothing(city: City) -> None:
    wall, head = await city.open()
    session = wall.rpartition("/")[2]
    city.ways.cut("320612-box")
    await city.put(wall, head, slot(0, A))
    await until(lambda: city.told and city.told[-1].why == "no_link")
    city.engine.tell(SlotChanged(session, "video", 0, A, Showing.MAIN))
    await until(lambda: city.told[-1].showing == Showing.MAIN)
    assert city.told[-1].why is None
    city.engine.tell(SlotChanged(session, "video", 0, A, Showing.SAVED))
    await until(lambda: city.told[-1].why == "saved")
    (item,) = (await city.http.get(f"{wall}/slots", headers=head)).json()["items"]
    assert (item["stream"], item["showing"], item["why"]) == (A, "saved", "saved")


async def test_what_the_engine_refuses_wants_nothing(city: City) -> None:
    wall, head = await city.open()
    await city.put(wall, head, slot(0, A))
    assert (await city.put(wall, head, slot(0, B), slot(20, A))).status_code == 422
    assert len(city.holders(A)) == 1
    assert city.holders(B) == {}


@pytest.mark.parametrize(
    ("bearer", "status"), [("wang", 201), ("li", 201), ("shen", 403), ("new", 403), ("nobody", 401), (None, 401)]
)
async def test_who_may_open_a_wall(city: City, bearer: str | None, status: int) -> None:
    head = {"authorization": f"Bearer {bearer}"} if bearer else {}
    answer = await city.http.post("/wall", content="v=0 offer", headers={**SDP, **head})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_wall_belongs_to_whom_it_was_opened_by(city: City) -> None:
    wall, head = await city.open()
    for person, status in (("wang", 200), ("li", 403), ("nobody", 401)):
        answer = await city.put(wall, {"authorization": f"Bearer {person}"}, slot(0, A))
        assert answer.status_code == status, person
    _, others = await city.open("li")
    assert (await city.put(wall, others, slot(0, B))).status_code == 403
    await city.clock.advance(3600.0)
    assert (await city.put(wall, head, slot(0, None))).status_code == 200, "its token lasts as long as the wall"


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        (slot(0, "320612/cellar"), 404),
        (slot(0, "nonsense"), 422),
        (slot(-1, A), 422),
        (slot(0, A, layer="huge"), 422),
        (slot(0, A, priority=9), 422),
        (slot(0, A, colour="red"), 422),
    ],
)
async def test_wishes_are_judged(city: City, wish: dict[str, Any], status: int) -> None:
    wall, head = await city.open()
    assert (await city.put(wall, head, wish)).status_code == status
    assert city.engine.assigned == []


async def test_the_manners_of_whep_hold_for_walls(city: City) -> None:
    wall, head = await city.open()
    fragment = {"content-type": "application/trickle-ice-sdpfrag"}
    assert (await city.http.options(wall)).status_code == 204
    assert (await city.http.post("/wall", content="v=0", headers=head)).status_code == 415
    assert (await city.http.patch(wall, content="x", headers=head)).status_code == 415
    assert (await city.http.patch(wall, content="x", headers={**head, **fragment})).status_code == 428
    restart = {**head, **fragment, "if-match": "*"}
    assert (await city.http.patch(wall, content="a=ice-ufrag:x", headers=restart)).status_code == 200


async def test_watching_is_audited_once_per_person_and_stream(city: City) -> None:
    wall, head = await city.open()
    city.deeds.clear()
    for _ in range(3):
        await city.put(wall, head, slot(0, A), slot(1, B))
        await city.put(wall, head, slot(0, None), slot(1, None))
    assert city.deeds == [("wang", "WATCH", A), ("wang", "WATCH", B)]
