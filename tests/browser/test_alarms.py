"""An alarm raised at a county's sensor arrives on the screen and is taken in hand there."""

import secrets

from playwright.sync_api import expect

from tests.support.screen import CITY, MINUTE, OVERVIEW, OpenScreen
from tests.support.stage import Stage


def find(stage: Stage, code: str, key: str):
    """Return the alarm with that key at one gateway."""
    page = stage.ask(code, "duty_officer", "/alarms?condition=all&limit=200")
    return next((alarm for alarm in page["items"] if alarm["alarm_key"] == key), None)


def test_an_alarm_arrives_and_is_acknowledged_by_mouse(open_screen: OpenScreen, stage: Stage):
    page = open_screen("duty_officer", at=OVERVIEW).page
    key = stage.raise_alarm(
        "320612-box", headline="可燃气体浓度超限", value=27.5, unit="%LEL", detail="化工园区 3 号点位"
    )
    row = page.locator(f"[data-key='{key}']")
    expect(row).to_be_visible(timeout=MINUTE)
    expect(row).to_contain_text("通州区")
    expect(row.get_by_role("img", name="红色")).to_be_visible()
    row.get_by_role("button", name="确认").click()
    expect(row).to_contain_text("已确认", timeout=MINUTE)
    acknowledged = find(stage, CITY, key)["acknowledged"]
    assert acknowledged["centre"] == CITY
    assert acknowledged["by"]


def test_an_alarm_is_acknowledged_by_keyboard_and_shows_its_way(open_screen: OpenScreen, stage: Stage):
    screen = open_screen("duty_officer")
    page = screen.page
    key = stage.raise_alarm("320623-box", severity=2, headline="一小时雨量 52 毫米")
    screen.go("/alarms")
    row = page.locator(f"[data-key='{key}']")
    expect(row).to_be_visible(timeout=MINUTE)
    for _ in range(300):
        if "chosen" in (row.get_attribute("class") or ""):
            break
        page.keyboard.press("j")
    expect(page.get_by_role("region", name="告警详情").last).to_contain_text("320623-box", timeout=MINUTE)
    expect(page.locator(".events")).to_contain_text("告警上报", timeout=MINUTE)
    expect(page.locator(".events")).to_contain_text("320600")
    page.keyboard.press("e")
    expect(row).to_contain_text("已确认", timeout=MINUTE)
    assert find(stage, CITY, key)["acknowledged"]
    page.get_by_role("combobox", name="确认").press("Enter")
    page.get_by_role("option", name="未确认").click()
    expect(row).to_have_count(0)


def test_an_alarm_is_shelved_with_a_reason_and_the_list_folds(open_screen: OpenScreen, stage: Stage):
    screen = open_screen("duty_officer")
    page = screen.page
    key = stage.raise_alarm("320612-box", severity=3, headline="配电室温度偏高")
    screen.go("/alarms")
    row = page.locator(f"[data-key='{key}']")
    expect(row).to_be_visible(timeout=MINUTE)
    row.locator(".words").click()
    page.get_by_role("button", name="搁置…").click()
    page.get_by_placeholder("搁置原因（必填）").fill("空调检修")
    page.locator("[data-test=shelving]").get_by_role("button", name="搁置").click()
    expect(row).to_have_count(0, timeout=MINUTE)
    expect(page.locator("[data-test=shelf]")).to_contain_text("空调检修")
    assert find(stage, CITY, key)["visibility"] == "shelved"
    page.locator("[data-test=shelf]").get_by_role("button", name="恢复显示").click()
    expect(row).to_be_visible(timeout=MINUTE)
    page.keyboard.press("f")
    expect(page.locator(".tree")).to_be_visible()
    groups = page.locator("[data-test=alarm-groups] .group")
    expect(groups.first).to_be_visible(timeout=MINUTE)
    groups.filter(has_text="通州区").first.click()
    expect(page.locator("[data-test=alarm-list]")).to_contain_text("通州区")


def test_each_key_has_one_meaning_and_the_help_tells_it(open_screen: OpenScreen):
    screen = open_screen("duty_officer")
    page, keys = screen.page, screen.page.locator("[data-test=keys]")
    screen.go("/alarms")
    page.keyboard.press("g")
    expect(page.locator(".tree")).to_have_count(0)
    expect(page.locator("[data-test=alarm-groups]")).to_have_count(0)
    page.keyboard.press("g")
    expect(page.locator(".tree")).to_be_visible()
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    expect(keys.locator("kbd")).to_have_text(["J", "K", "E", "F", "H", "G", "?"])
    expect(keys.locator("li").filter(has_text="F")).to_contain_text("归并")
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    expect(page.locator("[data-test=alarm-groups]")).to_have_count(0)
    page.locator("[data-test=key-help]").click()
    expect(keys).to_be_visible()
    assert screen.complaints == []


def test_an_alarm_begins_an_order_that_names_it(open_screen: OpenScreen, stage: Stage):
    screen = open_screen("duty_officer")
    page, title = screen.page, f"演练处置可燃气体泄漏 {secrets.token_hex(3)}"
    key = stage.raise_alarm("320612-box", headline="可燃气体浓度超限", drill=True)
    screen.go("/alarms")
    page.locator(f"[data-key='{key}'] .words").click(timeout=MINUTE)
    page.click("[data-test=order]")
    expect(page.locator("[data-test=about]")).to_contain_text("可燃气体浓度超限", timeout=MINUTE)
    page.check("[data-test=drill]")
    page.fill("[data-test=title] input", title)
    page.fill("[data-test=content] textarea", "立即核实并反馈。")
    page.check("[data-test=units] [data-unit='320612']")
    page.click("[data-test=save-order]")
    expect(page.locator("[data-test=order-state]")).to_have_attribute("data-state", "draft", timeout=MINUTE)
    orders = stage.ask(CITY, "duty_officer", "/orders")["items"]
    order = stage.ask(CITY, "duty_officer", f"/orders/{next(one['id'] for one in orders if one['title'] == title)}")
    assert [(one["kind"], one["id"]) for one in order["related"]] == [("alarm", find(stage, CITY, key)["id"])]
    assert screen.complaints == []
