"""A warning goes through two persons' screens, and a call-and-confirm is followed on the live board."""

import secrets

import httpx
from playwright.sync_api import Route, expect

from tests.support.cap import alert
from tests.support.screen import CITY, MINUTE, OpenScreen
from tests.support.stage import Stage

TARGETS = "洋口镇 320623104 | 张三 13800000001 > 王五 13800000002 | ~ 赵六 13800000009\n洋口村 320623104201 | 孙七 138"


def second_officer(stage: Stage) -> tuple[str, str]:
    """Make another duty officer of the city, with a password of their own."""
    url, name, password = stage.url(CITY), f"second{secrets.token_hex(3)}", f"Abc-{secrets.token_hex(8)}-7"
    operations = stage.places["gateways"][CITY]["users"]["operations"]["token"]
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60) as http:
        body = {"name": name, "display_name": "李四", "roles": ["duty_officer"]}
        made = http.post("/users", json=body, headers={"Authorization": f"Bearer {operations}"})
        made.raise_for_status()
        first = made.json()["password"]
        token = http.post("/session", json={"username": name, "password": first}).json()["token"]
        change = {"old": first, "new": password}
        http.post("/session/password", json=change, headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    return name, password


def test_a_drill_is_written_by_one_and_issued_by_another(open_screen: OpenScreen, stage: Stage):
    writer = open_screen("duty_officer")
    page = writer.page
    writer.go("/warnings")
    headline = f"演练用危险化学品泄漏黄色预警 {secrets.token_hex(3)}"
    page.locator("[data-test=new-warning]").wait_for(timeout=MINUTE)
    page.keyboard.press("n")
    page.fill("[data-test=event] input", "暴雨")
    page.fill("[data-test=event-code] input", "11B03")
    page.check("[data-test=drill]")
    page.click("[data-test=save-warning]")
    expect(page.get_by_text("只能由气象台站发布").first).to_be_visible(timeout=MINUTE)
    writer.complaints.clear()  # the browser notes the 403 that was wanted
    page.fill("[data-test=event] input", "危险化学品泄漏")
    page.fill("[data-test=event-code] input", "12A01")
    for name, text in (("headline", headline), ("area", "洋口镇"), ("codes", "320623104")):
        page.fill(f"[data-test={name}] input", text)
    page.fill("[data-test=onset] input", "2026-11-29T10:00")
    page.fill("[data-test=description] textarea", "园区液氯泄漏，下风向1公里内有危险。")
    page.fill("[data-test=instruction] textarea", "关闭门窗，向上风向撤离。")
    page.click("[data-test=save-warning]")
    expect(page.locator("[data-test=warning-state]")).to_have_attribute("data-state", "drafted", timeout=MINUTE)
    expect(page.locator("[data-test=second-person]")).to_be_visible()
    expect(page.locator("[data-test=review]")).to_have_count(0)

    other = open_screen(None)
    other.sign_in(*second_officer(stage))
    other.go("/warnings")
    other.page.locator("[data-warning]").filter(has_text=headline).click()
    for step, state in (("review", "reviewed"), ("sign", "signed"), ("dispatch", "delivered")):
        other.page.click(f"[data-test={step}]")
        mark = other.page.locator("[data-test=warning-state]")
        expect(mark).to_have_attribute("data-state", state, timeout=MINUTE)
    expect(page.locator("[data-test=warning-state]")).to_have_attribute("data-state", "delivered", timeout=MINUTE)
    expect(page.locator("[data-test=drill-mark]")).to_be_visible()
    assert not writer.complaints + other.complaints


def test_who_did_not_answer_stands_first_until_an_answer_is_noted(open_screen: OpenScreen, stage: Stage):
    screen = open_screen("duty_officer")
    page = screen.page
    screen.go("/warnings")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/warnings/call-list", hold, times=1)
    with page.expect_request("**/warnings/call-list"):
        page.click("[data-test=call-list]")
    expect(page.locator("[data-test=targets] textarea")).to_be_disabled(timeout=MINUTE)
    expect(page.locator("[data-test=save-call-list]")).to_be_disabled()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.fill("[data-test=targets] textarea", "洋口镇 | 张三 138")
    page.click("[data-test=save-call-list]")
    expect(page.get_by_role("alert")).to_contain_text("第 1 行", timeout=MINUTE)
    page.fill("[data-test=targets] textarea", TARGETS)
    page.click("[data-test=save-call-list]")
    expect(page.locator("[data-test=call-list-form]")).to_have_count(0, timeout=MINUTE)

    headline = f"如东县气象台发布暴雨红色预警 {secrets.token_hex(3)}"
    token = stage.places["gateways"][CITY]["users"]["duty_officer"]["token"]
    body = alert(identifier=secrets.token_hex(8), headline=headline, area="320623104000")
    said = httpx.post(
        f"{stage.url(CITY)}/api/v1/cap", content=body, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    said.raise_for_status()
    page.locator("[data-warning]").filter(has_text=headline).click(timeout=MINUTE)
    board = page.locator("[data-test=call-board]")
    expect(board).to_have_attribute("data-phase", "running", timeout=MINUTE)
    expect(board.locator("[data-test=unanswered]")).to_have_text("2")
    expect(board.get_by_role("timer")).to_be_visible()
    board.locator("[data-call]").filter(has_text="孙七").locator("[data-test=note-answer]").click()
    board.locator("[data-test=confirm-answer]").click()
    expect(board.locator("[data-test=unanswered]")).to_have_text("1", timeout=MINUTE)
    expect(board.locator("[data-call]").first).to_contain_text("张三")
    expect(board.locator("[data-call]").last).to_have_attribute("data-phase", "confirmed")
    board.locator("[data-test=note-answer]").click()
    board.locator("[data-test=confirm-answer]").click()
    expect(board).to_have_attribute("data-phase", "done", timeout=MINUTE)
    expect(page.locator("[data-test=warning-state]")).to_have_attribute("data-state", "confirmed")
    with page.expect_download() as download:
        board.get_by_role("link", name="Word").click()
    assert download.value.suggested_filename.endswith(".docx")

    warned = page.locator("[data-warning][aria-current=true]").get_attribute("data-warning")
    page.click("[data-test=order]")
    expect(page.locator("[data-test=about]")).to_contain_text(headline, timeout=MINUTE)
    page.check("[data-test=drill]")
    title = f"演练按预警转移群众 {secrets.token_hex(3)}"
    page.fill("[data-test=title] input", title)
    page.fill("[data-test=content] textarea", "立即转移低洼地区群众。")
    page.check("[data-test=units] [data-unit='320623']")
    page.click("[data-test=save-order]")
    expect(page.locator("[data-test=order-state]")).to_have_attribute("data-state", "draft", timeout=MINUTE)
    orders = stage.ask(CITY, "duty_officer", "/orders")["items"]
    order = stage.ask(CITY, "duty_officer", f"/orders/{next(one['id'] for one in orders if one['title'] == title)}")
    assert [(one["kind"], one["id"]) for one in order["related"]] == [("warning", warned)]
