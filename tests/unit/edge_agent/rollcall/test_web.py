"""The answer page's HTTP: nothing without the PIN, nothing from another site, and every act has its answer."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from edge_agent.calls import Calls
from edge_agent.cameras import make_camera
from edge_agent.cameras.preview import Preview
from edge_agent.rollcall.desk import AnswerDesk
from edge_agent.rollcall.machine import Details
from edge_agent.rollcall.pin import TRIES, PinDoor, made_pin
from edge_agent.rollcall.ringer import Ringer
from edge_agent.rollcall.web import BODY_BYTES, AnswerPage, Centre
from edge_agent.settings import AnswerSection, CameraSettings
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from protocols.command import CallRing, RollCallRing
from protocols.ids import ulid

ONE, TWO = ulid(1, bytes(10)), ulid(2, bytes(10))
WHO = {"answered_by": "王芳", "leader": "李强", "people": 3, "note": "无突发情况"}


class Room:
    """One county's answer page over a real desk."""

    def __init__(self, folder, tasks, camera):
        self.hung_up = []
        clock = SystemClock()
        self.desk = AnswerDesk(folder, Ringer("null", "none"), clock, tasks)
        self.pin = made_pin(folder).decode()
        door = PinDoor(folder, None, clock)
        self.calls = Calls(("320623/room",), AnswerSection(policy="ring"), "null", clock, tasks, self.desk)
        previews = {"room": Preview(camera.feed)}
        centre = Centre(lambda: True, self._hang_up)
        page = AnswerPage(
            self.desk, self.calls, door, clock, previews, node="320623-box", asks=True, centre=centre
        )  # fmt: skip
        transport = httpx.ASGITransport(Starlette(routes=page.routes()))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://box")

    async def _hang_up(self, end):
        self.hung_up.append(end.call_id)

    async def enter(self):
        assert (await self.http.post("/session", json={"pin": self.pin})).status_code == 200

    def rung(self, **more):
        return self.desk.rung(RollCallRing(roll_call_id=ONE, centre="320623", camera="room", **more))


@pytest.fixture
async def room(tmp_path):
    camera = make_camera(CameraSettings(name="room", kind="testcard"), "320623")
    camera.start()
    async with Supervisor("test") as tasks:
        made = Room(tmp_path, tasks, camera)
        async with made.http:
            yield made
    await camera.stop()


@pytest.mark.parametrize("path", ["/state", "/still/room", "/turns/x/answer", "/turns/x/end", "/turns/x/decline"])
async def test_nothing_is_shown_or_done_without_the_pin(room, path):
    room.rung()
    method = "POST" if path.startswith("/turns") else "GET"
    answer = await room.http.request(method, path.replace("x", ONE), json=WHO)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert room.desk.turns.get(ONE).details is None


async def test_the_files_of_the_page_are_there_and_no_others(room):
    page = await room.http.get("/")
    assert "值班应答" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for name in ("page.js", "page.css", "words.js"):
        assert (await room.http.get(f"/screen/{name}")).status_code == 200
    assert (await room.http.get("/screen/index.html")).status_code == 404
    assert (await room.http.get("/screen/..%2fpin.py")).status_code == 404


async def test_wrong_pins_lock_and_say_for_how_long(room):
    for _ in range(TRIES):
        assert (await room.http.post("/session", json={"pin": "0"})).status_code == 401
    locked = await room.http.post("/session", json={"pin": room.pin})
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 5


async def test_the_cookie_is_for_this_site_alone(room):
    answer = await room.http.post("/session", json={"pin": room.pin})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_a_ring_is_shown_and_answered(room):
    await room.enter()
    room.rung(caller="张三", caller_centre="320600", caller_centre_name="南通市", challenge="4729", people_due=2)
    state = (await room.http.get("/state")).json()
    (turn,) = state["turns"]
    assert (turn["stage"], turn["caller"], turn["challenge"], turn["open"]) == ("ringing", "张三", "4729", True)
    assert (state["asks"], state["link"], state["talk"]) == (True, True, None)
    answered = await room.http.post(f"/turns/{ONE}/answer", json=WHO)
    assert answered.json()["stage"] == "answered"
    assert room.desk.turns.get(ONE).details == Details(**WHO)
    assert (await room.http.get(f"/state?after={state['version']}")).json()["version"] > state["version"]
    assert (await room.http.post(f"/turns/{ONE}/end", json={})).json()["ending"] == "ended_here"
    late = await room.http.post(f"/turns/{ONE}/answer", json=WHO)
    assert (late.status_code, late.json()["code"]) == (409, "wrong_moment")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"answered_by": ""}', "application/json", 400),
        (b'{"answered_by": "x", "people": 100}', "application/json", 400),
        (b'{"answered_by": "x", "other": 1}', "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"answered_by": "x"}', "text/plain", 400),
        (b" " * (BODY_BYTES + 1), "application/json", 413),
    ],
)
async def test_bad_input_changes_nothing(room, body, kind, status):
    await room.enter()
    room.rung()
    answer = await room.http.post(f"/turns/{ONE}/answer", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert room.desk.turns.get(ONE).stage == "ringing"


async def test_a_dispatch_call_can_be_declined_or_hung_up(room):
    await room.enter()
    ring = CallRing(
        call_id=TWO, centre="320623", camera="room", caller="张三", caller_centre="320600",
        caller_stream="320600/call", whep_url="http://127.0.0.1:9/whep", token="t",
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        ringing = group.create_task(room.calls.ring(ring))
        await asyncio.sleep(0)
        assert (await room.http.post(f"/turns/{TWO}/answer", json={"answered_by": "王芳"})).status_code == 200
        assert (await ringing).answered_by == "王芳"
    assert (await room.http.get("/state")).json()["talk"]["call_id"] == TWO
    assert (await room.http.post(f"/turns/{TWO}/end", json={})).json()["stage"] == "over"
    assert room.hung_up == [TWO]
    assert room.calls.report() is None
    room.desk.rung(ring.model_copy(update={"call_id": ONE}))
    assert (await room.http.post(f"/turns/{ONE}/decline", json={})).json()["stage"] == "declined"


async def test_the_still_is_what_is_sent_up(room):
    await room.enter()
    still = await room.http.get("/still/room")
    assert still.headers["content-type"] == "image/jpeg"
    assert still.content.startswith(b"\xff\xd8")
    assert (await room.http.get("/still/room")).content == still.content, "a key frame is not asked for again at once"
    assert (await room.http.get("/still/none")).status_code == 404
