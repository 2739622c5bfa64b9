import pytest

from gateway.dispatch.api import routes
from gateway.dispatch.machine import CallState
from protocols.aio.clock import SystemClock
from tests.support.dispatch_stage import Centre, agent_answers, reached
from tests.support.rooms import Ways
from tests.support.web_site import as_role, client

CALLS = "/api/v1/calls"


@pytest.fixture
async def site(tmp_path):
    centre = Centre(tmp_path / "city.db", Ways.city(("320612",)), SystemClock())
    async with centre.store, centre.service() as service, client(routes(service, centre.streams)) as http:
        yield centre, service, http


async def test_a_call_from_click_to_hang_up(site):
    centre, service, http = site
    agent_answers(centre)
    made = await http.post(CALLS, json={"centre": "320612"}, headers=as_role("dispatcher"))
    assert made.status_code == 201
    call = made.json()
    assert (call["state"], call["direction"], call["watch"]) == ("ringing", "out", None)
    own = f"320600/call-{call['id'].lower()}"
    assert call["publish"]["whip_url"] == f"http://320600/whip/{own}"
    assert call["caller"] == {"centre": "320600", "user": "dispatcher"}
    await reached(service, call["id"], CallState.CONNECTED)
    call = (await http.get(f"{CALLS}/{call['id']}", headers=as_role("dispatcher"))).json()
    assert call["watch"]["whep_url"] == "http://320600/whep/320612/room"
    assert call["watch"]["stream"] == "320612/room"
    ended = (await http.post(f"{CALLS}/{call['id']}/hangup", headers=as_role("dispatcher"))).json()
    assert (ended["state"], ended["reason"], ended["publish"], ended["watch"]) == ("ended", "hangup", None, None)
    again = await http.post(f"{CALLS}/{call['id']}/hangup", headers=as_role("dispatcher"))
    assert again.status_code == 409


async def test_only_the_speaker_may_publish_and_only_speakers_may_listen(site):
    centre, service, http = site
    agent_answers(centre)
    made = (await http.post(CALLS, json={"centre": "320612"}, headers=as_role("dispatcher"))).json()
    await reached(service, made["id"], CallState.CONNECTED)
    colleague = (await http.get(f"{CALLS}/{made['id']}", headers=as_role("duty_officer"))).json()
    assert colleague["publish"] is None
    assert colleague["watch"] is not None
    auditor = (await http.get(CALLS, headers=as_role("auditor"))).json()["items"][0]
    assert (auditor["publish"], auditor["watch"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "role", "status"),
    [
        ({"centre": "320612"}, None, 401),
        ({"centre": "320612"}, "auditor", 403),
        ({"centre": "320612"}, "operations", 403),
        ({"centre": "Nantong"}, "dispatcher", 422),
        ({"centre": "320612", "camera": "../x"}, "dispatcher", 422),
        ({"centre": "320600"}, "dispatcher", 404),
        ({}, "dispatcher", 422),
    ],
)
async def test_what_is_refused(site, body, role, status):
    _, _, http = site
    answer = await http.post(CALLS, json=body, headers=as_role(role) if role else {})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_call_that_cannot_be_made_is_shown_with_its_reason(site):
    centre, _, http = site
    centre.ways.cut("320612-box")
    made = await http.post(CALLS, json={"centre": "320612"}, headers=as_role("dispatcher"))
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["reason"]) == ("ended", "link")
    assert (await http.get(f"{CALLS}/{made.json()['id']}", headers=as_role("auditor"))).json()["reason"] == "link"


async def test_the_own_call_cannot_be_answered_and_an_unknown_one_is_not_found(site):
    centre, _, http = site
    agent_answers(centre)
    made = (await http.post(CALLS, json={"centre": "320612"}, headers=as_role("dispatcher"))).json()
    answer = await http.post(f"{CALLS}/{made['id']}/answer", headers=as_role("dispatcher"))
    assert answer.status_code == 409
    for method, tail in (("GET", ""), ("POST", "/answer"), ("POST", "/hangup")):
        unknown = f"{CALLS}/01JB0000000000000000000000{tail}"
        assert (await http.request(method, unknown, headers=as_role("dispatcher"))).status_code == 404
