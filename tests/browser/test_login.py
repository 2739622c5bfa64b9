"""Signing in and out, and what a stranger is shown."""

import secrets

from playwright.sync_api import expect

from tests.support.screen import CITY, OpenScreen
from tests.support.stage import Stage


def test_a_wrong_password_is_explained_and_the_right_one_opens(open_screen: OpenScreen, stage: Stage):
    screen = open_screen(role=None)
    page = screen.page
    page.goto(f"{screen.url}/alarms")
    expect(page).to_have_title("登录 · 四联")
    page.fill("input[autocomplete=username]", "dispatcher")
    page.fill("input[type=password]", "not the password")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("用户名或口令错误")
    name, password = stage.account(CITY, "dispatcher")
    page.fill("input[autocomplete=username]", name)
    page.fill("input[type=password]", password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{screen.url}/alarms")
    expect(page.locator("header.bar")).to_contain_text("南通市")
    page.click("[data-test=leave]")
    page.wait_for_selector("input[type=password]")
    page.goto(f"{screen.url}/links")
    page.wait_for_selector("input[type=password]")


def test_pages_follow_the_role(open_screen: OpenScreen):
    dispatcher = open_screen("dispatcher").page
    assert dispatcher.locator(".rail a[href='/system']").count() == 0
    auditor = open_screen("auditor").page
    auditor.click(".rail a[href='/system']")
    expect(auditor.get_by_role("region", name="审计日志", exact=True).last).to_contain_text("dispatcher")
    assert auditor.get_by_text("签发令牌").count() == 0


def test_operations_issue_an_enrolment_token(open_screen: OpenScreen):
    page = open_screen("operations").page
    page.click(".rail a[href='/system']")
    page.get_by_label("节点名").fill("320614-field1")
    page.get_by_role("button", name="签发令牌").click()
    expect(page.locator("[data-test=token]")).not_to_be_empty()


def test_a_new_user_is_handed_a_password_and_must_choose_an_own_one(open_screen: OpenScreen):
    page = open_screen("operations").page
    page.click(".rail a[href='/system']")
    page.get_by_role("button", name="新增用户").click()
    dialog = page.get_by_role("dialog")
    name = f"officer{secrets.token_hex(3)}"
    dialog.get_by_label("用户名").fill(name)
    dialog.get_by_label("姓名").fill("张伟")
    dialog.get_by_label("值班员").check()
    dialog.get_by_role("button", name="新增用户").click()
    first = dialog.locator(".issued code").inner_text()
    own = f"{secrets.token_hex(8)}-Aa1"

    screen = open_screen(role=None)
    page = screen.page
    page.goto(screen.url)
    page.fill("input[autocomplete=username]", name)
    page.fill("input[type=password]", first)
    page.click("button[type=submit]")
    page.get_by_label("新口令", exact=True).fill(own)
    page.get_by_label("再次输入新口令").fill(f"{own}x")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("不一致")
    page.get_by_label("再次输入新口令").fill(own)
    page.click("button[type=submit]")
    expect(page.locator("header.bar")).to_contain_text("张伟")
