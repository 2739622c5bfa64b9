"""An order is written at the city, signed by another person, taken at the county's console, and seen on the board."""

import secrets

from playwright.sync_api import expect

from tests.browser.test_warnings import second_officer
from tests.support.screen import MINUTE, OpenScreen
from tests.support.stage import Stage

COUNTY, BOX_ONLY = "320623", "320612"


def test_an_order_goes_to_the_county_and_its_answers_come_back(open_screen: OpenScreen, stage: Stage):
    writer = open_screen("duty_officer")
    page, title = writer.page, f"演练转移低洼地区群众 {secrets.token_hex(3)}"
    page.goto(f"{writer.url}/orders?kind=warning&about=w1&text=暴雨红色预警")
    page.locator("[data-test=order-form]").wait_for(timeout=MINUTE)
    page.check("[data-test=drill]")
    expect(page.locator("[data-test=about]")).to_contain_text("暴雨红色预警")
    page.fill("[data-test=title] input", title)
    page.fill("[data-test=content] textarea", "立即转移低洼地区群众，到位后反馈。")
    for unit in (COUNTY, BOX_ONLY):
        page.check(f"[data-test=units] [data-unit='{unit}']")
    page.click("[data-test=save-order]")
    mark = page.locator("[data-test=order-state]")
    expect(mark).to_have_attribute("data-state", "draft", timeout=MINUTE)
    expect(page.locator("[data-test=second-person]")).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("[data-test=title] input")).to_have_value("")
    page.locator("[data-order]").filter(has_text=title).click()
    expect(page.locator("[data-test=sign-send]")).to_have_count(0)

    second = open_screen(None)
    second.sign_in(*second_officer(stage))
    second.go("/orders")
    second.page.locator("[data-order]").filter(has_text=title).click(timeout=MINUTE)
    second.page.click("[data-test=sign-send]")
    expect(mark).to_have_attribute("data-state", "sent", timeout=MINUTE)

    county = open_screen("duty_officer", COUNTY)
    county.go("/orders")
    county.page.locator("[data-order]").filter(has_text=title).click(timeout=MINUTE)
    expect(county.page.locator("[data-test=drill-mark]")).to_be_visible()
    expect(county.page.locator("[data-test=orders-waiting]")).to_be_visible()
    county.page.click("[data-test=acknowledge]")
    board = page.locator("[data-test=order-board]")
    row = board.locator(f"[data-unit='{COUNTY}']")
    expect(row).to_have_attribute("data-state", "acknowledged", timeout=MINUTE)
    county.page.fill("[data-test=feedback-text] input", "已转移 120 人")
    county.page.keyboard.press("Enter")
    expect(row).to_contain_text("已转移 120 人", timeout=MINUTE)
    county.page.click("[data-test=done]")
    expect(row).to_have_attribute("data-state", "done", timeout=MINUTE)

    other = board.locator(f"[data-unit='{BOX_ONLY}']")
    other.locator("[data-test=note]").click()
    other.locator("[data-test=by] input").fill("通州区李四")
    other.locator("[data-test=confirm-note]").click()
    expect(other).to_have_attribute("data-state", "acknowledged", timeout=MINUTE)
    page.click("[data-test=revoke]")
    page.fill("[data-test=why] input", "险情解除")
    page.click("[data-test=confirm-why]")
    expect(mark).to_have_attribute("data-state", "revoked", timeout=MINUTE)
    expect(county.page.locator("[data-test=revoked-why]")).to_contain_text("险情解除", timeout=MINUTE)
    expect(row).to_have_attribute("data-state", "done")
    assert not writer.complaints + second.complaints + county.complaints
