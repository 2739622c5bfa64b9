import pytest

from gateway.rollcall.api import routes
from tests.support.rollcall_stage import ended, roll_call_stage
from tests.support.web_site import as_role, client

ROLL_CALLS = "/api/v1/roll-calls"


@pytest.fixture
async def site(tmp_path):
    async with roll_call_stage(tmp_path) as stage, stage.service() as service, client(routes(service)) as http:
        yield stage, service, http


async def test_from_the_button_to_the_sheet(site):
    stage, service, http = site
    stage.ways.cut("320685-box")
    made = await http.post(ROLL_CALLS, json={"centres": ["320612", "320685"]}, headers=as_role("caller"))
    assert made.status_code == 201
    assert made.json()["state"] == "running"
    assert made.json()["started_by"] == "caller"
    address = f"{ROLL_CALLS}/{made.json()['id']}"
    await ended(service, made.json()["id"])
    call = (await http.get(address, headers=as_role("auditor"))).json()
    assert (call["due"], call["present"], call["absent"]) == (2, 1, 1)
    present, cut = call["points"]
    assert (present["state"], present["reason"]) == ("passed", None)
    assert (cut["state"], cut["reason"], cut["link"]) == ("unreachable", "no_link", "no_heartbeat")
    assert present["still"] == f"{address}/points/320612/still"
    still = await http.get(present["still"], headers=as_role("duty_officer"))
    assert still.headers["content-type"] == "image/jpeg"
    assert (await http.get(f"{address}/points/320685/still", headers=as_role("caller"))).status_code == 404
    listed = (await http.get(ROLL_CALLS, headers=as_role("operations"))).json()
    assert [item["id"] for item in listed["items"]] == [call["id"]]
    assert listed["next"] is None


@pytest.mark.parametrize(
    ("body", "role", "status"),
    [
        ({}, None, 401),
        ({}, "auditor", 403),
        ({}, "operations", 403),
        ({"kind": "party"}, "caller", 422),
        ({"centres": ["32"]}, "caller", 422),
        ({"centres": []}, "caller", 400),
        ({"centres": ["999999"]}, "caller", 404),
        ({"centres": ["320600"]}, "caller", 404),
    ],
)
async def test_what_is_refused(site, body, role, status):
    _, _, http = site
    answer = await http.post(ROLL_CALLS, json=body, headers=as_role(role) if role else {})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get(ROLL_CALLS, headers=as_role("caller"))).json()["items"] == []


async def test_an_unknown_roll_call_is_not_found(site):
    _, _, http = site
    for tail in ("", "/points/320612/still"):
        answer = await http.get(f"{ROLL_CALLS}/01JB0000000000000000000000{tail}", headers=as_role("caller"))
        assert answer.status_code == 404


async def test_older_roll_calls_by_pages(site):
    _, service, http = site
    ids = []
    for _ in range(3):
        made = await http.post(ROLL_CALLS, json={"centres": ["320612"]}, headers=as_role("caller"))
        ids.append(made.json()["id"])
        await ended(service, ids[-1])
    first = (await http.get(f"{ROLL_CALLS}?limit=2", headers=as_role("caller"))).json()
    assert [item["id"] for item in first["items"]] == ids[:0:-1]
    rest = (await http.get(f"{ROLL_CALLS}?limit=2&cursor={first['next']}", headers=as_role("caller"))).json()
    assert [item["id"] for item in rest["items"]] == ids[:1]
    assert rest["next"] is None
