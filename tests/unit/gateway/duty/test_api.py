"""HTTP of the duty room: who may, what is masked, what is audited."""

import pytest

from gateway.duty.api import routes
from gateway.duty.deeds_api import deed_routes
from tests.support.duty_stage import DAY, duty_stage
from tests.support.web_site import as_role, client

PLANNER, AUDITOR = as_role("duty_officer"), as_role("auditor")


@pytest.fixture
async def site(tmp_path):
    async with (
        duty_stage(tmp_path) as stage,
        client(routes(stage.room), deed_routes(stage.room), centre="320623") as http,
    ):
        yield stage, http


async def test_a_roster_from_the_staff_to_who_is_on_duty(site):
    stage, http = site
    assert (await http.get("/api/v1/duty/plan", headers=AUDITOR)).json()["made"] is False
    await stage.staff()
    seats = [{"person": one, "role": role} for one, role in stage.full()["全天"]]
    body = {"base": 0, "shifts": {"全天": seats}}
    assert (await http.put("/api/v1/duty/days/2026-11-24", json=body, headers=AUDITOR)).status_code == 403
    made = (await http.put("/api/v1/duty/days/2026-11-24", json=body, headers=PLANNER)).json()
    assert (made["days"][0]["version"], made["findings"]) == (1, [])
    assert (await http.put("/api/v1/duty/days/2026-11-24", json=body, headers=PLANNER)).status_code == 409
    await stage.room.look()
    (own,) = (await http.get("/api/v1/duty", params={"centre": "320623"}, headers=AUDITOR)).json()["items"]
    assert own["known"] is True
    assert own["now"][0]["people"][0]["phones"] == ["138****5678"]


async def test_phones_are_shown_to_those_who_call_and_each_look_is_written_down(site):
    stage, http = site
    await stage.staff()
    await stage.room.save(DAY, stage.full(), 0, by="x")  # fmt: skip
    await stage.room.look()
    assert (await http.get("/api/v1/duty/320623/phones", headers=AUDITOR)).status_code == 403
    shown = (await http.get("/api/v1/duty/320623/phones", headers=as_role("dispatcher"))).json()
    assert shown["now"][0]["people"][0]["phones"] == ["13812345678"]
    assert stage.journal.deeds == ["duty.phones"]
    assert (await http.get("/api/v1/duty/320681/phones", headers=PLANNER)).status_code == 404
    listed = (await http.get("/api/v1/duty/people", headers=PLANNER)).json()["items"]
    assert {one["phones"][0] for one in listed} == {"138****5678"}


async def test_a_stretch_that_runs_backwards_is_refused(site):
    _, http = site
    answer = await http.get("/api/v1/duty/days", params={"from": "2026-02-01", "to": "2026-01-01"}, headers=AUDITOR)
    assert answer.status_code == 400


async def test_a_sheet_is_taken_whole_or_not_at_all(site):
    stage, http = site
    await stage.staff()
    span = {"from": "2026-11-24", "to": "2026-11-25"}
    template = (await http.get("/api/v1/duty/roster.csv", params=span, headers=AUDITOR)).content.decode("utf-8-sig")
    rows = template.splitlines()
    good = [rows[0], "2026-11-24,全天,李局,,王强、赵敏,,", "2026-11-25,全天,陈局,,周立,,"]
    bad = [*good[:2], "2026-11-25,全天,某人,,,,"]
    refused = await http.post("/api/v1/duty/roster", content="\n".join(bad), headers=PLANNER)
    assert refused.status_code == 422
    assert (refused.json()["faults"][0]["row"], refused.json()["faults"][0]["column"]) == (3, "带班领导")
    assert await stage.room.versions(DAY) == []
    taken = await http.post("/api/v1/duty/roster", content="\n".join(good), headers=PLANNER)
    assert taken.json() == {"days": 2, "faults": []}
    book = await http.get("/api/v1/duty/roster.xlsx", params=span, headers=AUDITOR)
    again = await http.post("/api/v1/duty/roster", content=book.content, headers=PLANNER)
    assert again.json()["days"] == 2
    assert [row["version"] for row in await stage.room.versions(DAY)] == [2, 1]
