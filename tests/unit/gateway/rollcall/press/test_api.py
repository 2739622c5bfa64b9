"""Reviewing and publishing over HTTP: who may, what comes back, and every form of paper."""

from datetime import UTC, datetime

import pytest

from gateway.adapters.paper_files import PaperFiles
from gateway.rollcall.press.api import routes, span
from protocols.aio.clock import ManualClock
from protocols.errors import BadInputError
from tests.support.press_stage import BOX_ONLY, COUNTY, offices
from tests.support.web_site import as_role, client

NOW = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
CALLS = "/api/v1/roll-calls"


@pytest.fixture
async def stage(tmp_path):
    async with offices(tmp_path, ManualClock(NOW)) as made:
        yield made


@pytest.fixture
async def city(stage):
    async with client(routes(stage.city.press, stage.city.inbox, PaperFiles())) as http:
        yield http


@pytest.fixture
async def county(stage):
    async with client(routes(stage.county.press, stage.county.inbox, PaperFiles())) as http:
        yield http


async def test_from_the_review_to_the_archive(stage, city, county):
    id_ = await stage.hold()
    officer = as_role("duty_officer")
    told = (await city.post(f"{CALLS}/{id_}/review", json={"hours": 1}, headers=officer)).json()
    assert told["review"]["reviewed_by"] == "duty_officer"
    noted = {"centre": BOX_ONLY, "by": "赵六", "reason": "停电"}
    told = (await city.post(f"{CALLS}/{id_}/objections", json=noted, headers=officer)).json()
    (raised,) = told["objections"]
    decide = f"{CALLS}/{id_}/objections/{raised['id']}/decide"
    answer = {"upheld": False, "answer": "有市电"}
    assert (await city.post(decide, json=answer, headers=officer)).status_code == 403
    assert (await city.post(decide, json=answer, headers=as_role("caller"))).status_code == 200
    early = await city.post(f"{CALLS}/{id_}/publish", json={}, headers=officer)
    assert early.status_code == 409
    await city.post(f"{CALLS}/{id_}/close-window", json={"reason": "均无异议"}, headers=officer)
    told = (await city.post(f"{CALLS}/{id_}/publish", json={"demands": "整改"}, headers=officer)).json()
    assert told["state"] == "published"
    assert [row["number"] for row in told["bulletins"]] == ["通应急点〔2026〕1号"]
    await stage.down()
    (came,) = (await county.get("/api/v1/bulletins", headers=as_role("operations"))).json()["items"]
    (result,) = (await county.get("/api/v1/roll-call-results", headers=officer)).json()["items"]
    assert result["centre"] == COUNTY
    refused = await county.post(f"/api/v1/bulletins/{came['id']}/sign", json={}, headers=as_role("auditor"))
    assert refused.status_code == 403
    signed = await county.post(f"/api/v1/bulletins/{came['id']}/sign", json={"feedback": "收到"}, headers=officer)
    assert signed.json()["signed_by"] == "duty_officer"
    printed = await county.get(f"/api/v1/bulletins/{came['id']}/print.docx", headers=officer)
    assert printed.content.startswith(b"PK")
    await stage.up()
    told = (await city.post(f"{CALLS}/{id_}/receipts/{BOX_ONLY}", json={"by": "钱七"}, headers=officer)).json()
    assert {row["centre"]: row["feedback"] for row in told["receipts"]} == {COUNTY: "收到", BOX_ONLY: ""}
    told = (await city.post(f"{CALLS}/{id_}/correct", json={"reason": "更正"}, headers=officer)).json()
    assert [row["version"] for row in told["bulletins"]] == [1, 2]
    away = await city.post(f"{CALLS}/{id_}/archive", json={"reason": "已另行通知"}, headers=officer)
    assert away.json()["state"] == "archived"


FORMS = [("pdf", b"%PDF"), ("docx", b"PK"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf")]


@pytest.mark.external
@pytest.mark.parametrize(("form", "magic"), FORMS)
async def test_the_sheet_comes_in_every_form(stage, city, form, magic):
    id_ = await stage.hold()
    got = await city.get(f"{CALLS}/{id_}/sheet.{form}", headers=as_role("auditor"))
    assert got.content.startswith(magic)
    assert "filename*=UTF-8''" in got.headers["content-disposition"]


async def test_the_sheet_and_the_draft_on_the_screen(stage, city):
    id_ = await stage.hold()
    sheet = (await city.get(f"{CALLS}/{id_}/sheet.json", headers=as_role("caller"))).json()
    assert len(sheet["columns"]) == len(sheet["keys"]) == len(sheet["rows"][0]) == 33
    assert sheet["centres"] == [COUNTY, BOX_ONLY]
    draft = (await city.get(f"{CALLS}/{id_}/bulletin.json", headers=as_role("caller"))).json()
    assert (draft["seal"], draft["content"]["tally"]["due"]) == ("", 2)
    page = await city.get(f"{CALLS}/{id_}/bulletin.docx?audience=leaders", headers=as_role("caller"))
    assert page.content.startswith(b"PK")


async def test_the_month(stage, city):
    await stage.hold()
    table = (await city.get(f"{CALLS}/monthly?month=2026-03", headers=as_role("auditor"))).json()
    assert [(one["centre"], one["at_post_rate"]) for one in table["items"]] == [(COUNTY, 1.0), (BOX_ONLY, 0.0)]
    empty = (await city.get(f"{CALLS}/monthly?month=2026-02", headers=as_role("auditor"))).json()
    assert empty["items"] == []
    book = await city.get(f"{CALLS}/monthly?month=2026-03&form=xlsx", headers=as_role("auditor"))
    assert book.content.startswith(b"PK")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/review", {"hours": -1}, 422),
        ("/close-window", {"reason": " "}, 422),
        ("/objections", {"centre": "320681", "by": "x", "reason": "y"}, 404),
        ("/publish", {}, 409),
        ("/archive", {}, 409),
        ("/receipts/320612", {"by": "x"}, 404),
        ("/correct", {"reason": "x"}, 409),
    ],
)
async def test_what_is_refused(stage, city, path, body, status):
    id_ = await stage.hold()
    answer = await city.post(f"{CALLS}/{id_}{path}", json=body, headers=as_role("duty_officer"))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_unknown_ones_are_not_found(city):
    nobody = "01JB0000000000000000000000"
    for path in (f"{CALLS}/{nobody}/sheet.json", f"{CALLS}/{nobody}/review", f"/api/v1/bulletins/{nobody}"):
        assert (await city.get(path, headers=as_role("caller"))).status_code == 404
    for month in ("2026-13", "x"):
        assert (await city.get(f"{CALLS}/monthly?month={month}", headers=as_role("caller"))).status_code == 422


def test_a_month_is_one_of_china():
    assert span("2026-03") == (datetime(2026, 2, 28, 16, tzinfo=UTC), datetime(2026, 3, 31, 16, tzinfo=UTC))
    assert span("2026-12")[1] == datetime(2026, 12, 31, 16, tzinfo=UTC)
    with pytest.raises(BadInputError):
        span("2026")
