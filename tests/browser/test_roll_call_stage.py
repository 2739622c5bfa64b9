"""The stage of a roll call: planned, conducted by keys, taken over by a second seat, and gone on with after a kill."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from gateway.bench.stage import ON_STAGE, WATCH
from tests.browser.test_pages import OVERFLOW, keep_picture, serious
from tests.support.house import ROOT
from tests.support.screen import CITY, LARGE, MINUTE, SMALL, OpenScreen, open_plan
from tests.support.stage import Stage

PROVINCE = "320000"
CALLED = ("320612", "320614", "320682", "320685")
NEXT_READY = """() => {
  const pane = document.querySelector('[data-test=stage] .seat.next .pane[data-state=live]')
  return pane && silianMark(pane.querySelector('video')) ? pane.dataset.stream.slice(0, 6) : null
}"""


def begin(page: Page) -> str:
    """Plan a call one by one of four counties with the form; return its number."""
    open_plan(page)
    page.locator("[data-test=mode]").click()
    page.get_by_role("option", name="逐一点名").click()
    for box in page.locator("[data-plan]").all():
        if box.get_attribute("data-plan") not in CALLED:
            box.locator("input").uncheck()
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/roll-calls")) as started:
        page.click("[data-test=plan] [data-test=begin]")
    answer = started.value.json()
    assert [point["centre"] for point in answer["points"]] == list(CALLED)
    return str(answer["id"])


def step(page: Page) -> dict[str, Any]:
    """Press N once the next county is there; return who came on stage and after how many milliseconds."""
    code = page.wait_for_function(NEXT_READY, timeout=2 * MINUTE).json_value()
    page.evaluate(WATCH, arg=code)
    page.keyboard.press("n")
    took, age = page.evaluate("() => window.switched")
    return {"centre": code, "ms": took, "picture_age_ms": age}


@pytest.fixture(autouse=True)
def nothing_left(stage: Stage) -> Iterator[None]:
    """End what a failed test left under way: a county is in one call at a time."""
    yield
    token = stage.places["gateways"][CITY]["users"]["caller"]["token"]
    for call in stage.ask(CITY, "caller", "/roll-calls")["items"]:
        if call["ended_at"] is None:
            httpx.post(
                f"{stage.url(CITY)}/api/v1/roll-calls/{call['id']}/cancel",
                json={"why": "end of a test"},
                headers={"Authorization": f"Bearer {token}"},
                timeout=20,
            )


def test_a_call_one_by_one_is_conducted_by_keys_taken_over_and_survives(
    open_screen: OpenScreen, stage: Stage, gallery: Path
):
    first = open_screen("caller")
    page = first.page
    first.go("/roll-call")
    number = begin(page)
    page.wait_for_function(ON_STAGE, arg=CALLED[0], timeout=2 * MINUTE)
    expect(page.locator(f"[data-point='{CALLED[0]}']")).to_have_class("waiting chosen named", timeout=MINUTE)
    page.wait_for_function(NEXT_READY, timeout=2 * MINUTE)
    keep_picture(page, gallery / "roll-call-stage-zh-CN.png")
    for width, height in (SMALL, LARGE):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(200)
        assert page.evaluate(OVERFLOW) == [], (width, height)
    assert serious(page) == []
    page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})

    page.keyboard.press("?")
    expect(page.locator("[data-test=keys] li").first).to_contain_text("到")
    keep_picture(page, gallery / "roll-call-keys-zh-CN.png")
    page.keyboard.press("Escape")
    expect(page.locator("[data-test=keys]")).to_be_hidden()

    switches = [step(page)]
    assert switches[0]["centre"] == CALLED[1]
    page.keyboard.press("v")
    expect(page.locator("[data-test=evidence]")).to_be_visible()
    keep_picture(page, gallery / "roll-call-evidence-zh-CN.png")
    page.keyboard.press("v")
    page.keyboard.press("d")
    expect(page.locator("[data-test=phones], [data-test=no-phones]")).to_be_visible(timeout=MINUTE)
    page.keyboard.press("Escape")

    second = open_screen("duty_officer")
    second.page.goto(f"{second.url}/roll-call")  # not by the rail: the overview would decode seven pictures first
    expect(second.page.locator("[data-test=led]")).to_contain_text("caller", timeout=MINUTE)
    second.page.wait_for_function(ON_STAGE, arg=CALLED[1], timeout=2 * MINUTE)
    first.context.close()
    second.page.click("[data-test=take-seat]")
    expect(second.page.locator("[data-test=led]")).to_have_count(0, timeout=MINUTE)
    switches.append(step(second.page))

    os.kill(stage.process(f"gateway-{CITY}"), signal.SIGKILL)
    expect(second.page.locator("[data-test=banner]")).to_contain_text("已断开", timeout=MINUTE)
    expect(second.page.locator("[data-test=wire]")).to_have_attribute("data-state", "open", timeout=2 * MINUTE)
    second.page.wait_for_function(ON_STAGE, arg=switches[-1]["centre"], timeout=3 * MINUTE)
    assert stage.ask(CITY, "caller", f"/roll-calls/{number}")["seat"] == "duty_officer"

    second.page.keyboard.press("s")
    second.page.locator("[data-test=reason] input").fill("上级任务占用")
    second.page.click("[data-test=give-reason]")
    expect(second.page.locator(f"[data-point='{switches[-1]['centre']}']")).to_have_attribute(
        "data-state", "skipped", timeout=MINUTE
    )
    second.page.wait_for_function(ON_STAGE, arg=CALLED[3], timeout=2 * MINUTE)  # who is set aside leaves the stage
    state = second.page.locator(f"[data-test=state][data-call='{number}']")
    if second.page.locator("[data-test=finish]").count():
        second.page.click("[data-test=finish]")
        second.page.locator("[data-test=reason] input").fill("全部点完")
        second.page.click("[data-test=give-reason]")
    expect(state).to_have_attribute("data-state", "ended", timeout=3 * MINUTE)
    result = stage.ask(CITY, "caller", f"/roll-calls/{number}")
    first_round = [point for point in result["points"] if point["makeup_at"] is None]
    assert all(point["attempts"] <= 1 for point in first_round), "nobody is asked twice"
    (ROOT / "test-results").mkdir(exist_ok=True)
    (ROOT / "test-results" / "stage-switches.json").write_text(json.dumps(switches, indent=1))


def test_a_check_from_above_is_said_at_once_and_takes_its_county_alone(
    open_screen: OpenScreen, stage: Stage, gallery: Path
):
    page = open_screen("caller").page
    own = stage.tell(CITY, "caller", "/roll-calls", {"centres": ["320682", "320614"], "drill": True})["id"]
    page.click(".rail a[href='/roll-call']")
    page.wait_for_selector(".page-head h1")
    user = stage.places["gateways"][PROVINCE]["users"]["caller"]
    started = httpx.post(
        f"{stage.url(PROVINCE)}/api/v1/roll-calls",
        json={"centres": ["320682"], "kind": "random", "drill": True},
        headers={"Authorization": f"Bearer {user['token']}"},
        timeout=20,
    )
    started.raise_for_status()
    above = page.locator("[data-test=above]")
    expect(above).to_contain_text("上级正在抽查：江苏省", timeout=MINUTE)
    expect(above).to_contain_text("如皋市")
    lent = page.locator("[data-point] [data-test=lent]")
    expect(page.locator("[data-point='320682'] [data-test=lent]")).to_be_visible(timeout=MINUTE)
    expect(lent).to_have_count(1)
    keep_picture(page, gallery / "roll-call-above-zh-CN.png")
    expect(above).to_have_count(0, timeout=3 * MINUTE)
    expect(lent).to_have_count(0, timeout=MINUTE)
    state = page.locator(f"[data-test=state][data-call='{own}']")
    expect(state).to_have_attribute("data-state", "ended", timeout=3 * MINUTE)
    result = stage.ask(CITY, "caller", f"/roll-calls/{own}")
    assert result["state"] == "reviewing", "whoever was lent has had its turn"
    states = {point["centre"]: (point["state"], point["reason"]) for point in result["points"]}
    assert {state for state, _ in states.values()} <= {"passed", "passed_with_issues"}, states


def test_a_planned_call_is_rehearsed_and_stays_planned(open_screen: OpenScreen, stage: Stage):
    at, called = datetime.now(UTC) + timedelta(minutes=7), ["320612", "320614"]
    plan = {"centres": called, "at": at.isoformat(), "mode": "sequential", "drill": True}
    planned = stage.tell(CITY, "caller", "/roll-calls", plan)["id"]
    screen = open_screen("caller")
    page = screen.page
    screen.go("/roll-call")
    page.locator(f"[data-history='{planned}']").click(timeout=MINUTE)
    tried = page.locator("[data-point] [data-test=precheck]")
    expect(tried).to_have_text(["预检就绪"] * 2, timeout=2 * MINUTE)
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/roll-calls")) as begun:
        page.locator("[data-test=rehearse-now]").click(timeout=MINUTE)
    made = begun.value.json()
    assert (made["kind"], made["mode"], made["drill"]) == ("test", "parallel", True)
    assert [point["centre"] for point in made["points"]] == called
    mine = page.locator(f"[data-test=state][data-call='{made['id']}']")
    expect(mine).to_have_attribute("data-state", "ended", timeout=3 * MINUTE)
    expect(tried).to_have_text(["预检就绪"] * 2, timeout=MINUTE)
    expect(page.locator(f"[data-verdict='{called[0]}']")).to_contain_text("双向媒体已通")
    result = stage.ask(CITY, "caller", f"/roll-calls/{made['id']}")
    assert all(point["precheck"]["two_way"]["packets"] for point in result["points"])
    assert [point["score"] for point in result["points"]] == [None, None], "a rehearsal is not scored"
    assert stage.ask(CITY, "caller", f"/roll-calls/{planned}")["state"] in {"scheduled", "prechecking", "ready"}

    stage.raise_alarm(f"{called[1]}-box", event_type="11B03", severity=3, headline="雨量超限", value=62.5, unit="mm")
    open_plan(page)
    page.locator("[data-test=order]").click()
    page.get_by_role("option", name="按雨量").click()
    for box in page.locator("[data-plan]").all():
        if box.get_attribute("data-plan") not in called:
            box.locator("input").uncheck()
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/roll-calls")) as begun:
        page.click("[data-test=rehearse]")
    made = begun.value.json()
    assert (made["kind"], [point["centre"] for point in made["points"]]) == ("test", called[::-1])
    expect(page.locator(f"[data-point='{called[1]}']")).to_contain_text("62.5 mm")
    expect(page.locator(f"[data-test=state][data-call='{made['id']}']")).to_have_attribute(
        "data-state", "ended", timeout=3 * MINUTE
    )
    assert screen.complaints == []
