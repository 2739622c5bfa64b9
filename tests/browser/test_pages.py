"""Every page in both languages and at both sizes: reachable, readable, quiet, and without scroll bars."""

import re
import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.cap import alert
from tests.support.screen import CITY, LARGE, LIGHT, MINUTE, OVERVIEW, SMALL, OpenScreen
from tests.support.stage import Stage

PAGES = {
    "overview": ("/", "dispatcher"),
    "wall": ("/video-wall", "dispatcher"),
    "alarms": ("/alarms", "duty_officer"),
    "chain": ("/alarms/chain", "duty_officer"),
    "warnings": ("/warnings", "duty_officer"),
    "orders": ("/orders", "duty_officer"),
    "reports": ("/reports", "duty_officer"),
    "duty": ("/duty", "duty_officer"),
    "recordings": ("/recordings", "dispatcher"),
    "roll-call": ("/roll-call", "caller"),
    "roll-call-review": ("/roll-call/review", "duty_officer"),
    "roll-call-month": ("/roll-call/monthly", "duty_officer"),
    "bulletins": ("/roll-call/bulletins", "duty_officer"),
    "dispatch": ("/dispatch", "dispatcher"),
    "links": ("/links", "operations"),
    "system": ("/system", "operations"),
    "audit": ("/system", "auditor"),
}
CHINA = timezone(timedelta(hours=8))
ENTRIES = {"warnings": "data-warning", "orders": "data-order", "reports": "data-report"}
"""Pages that show a list and open its first entry."""
OVERFLOW = """() => {
  const page = document.scrollingElement
  const found = [...document.querySelectorAll('.shell, .shell > .body, main, .page, .login')]
    .filter((one) => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)
    .map((one) => `${one.tagName}.${one.className}`)
  if (page.scrollHeight > innerHeight || page.scrollWidth > innerWidth) found.push('the page')
  return found
}"""
FOCUSED = """() => {
  const at = document.activeElement
  return at?.getAttribute('href') ?? at?.getAttribute('aria-label') ?? ''
}"""
ALL_LIVE = """() => document.querySelectorAll('.pane').length >= 7 &&
  !document.querySelector('.pane:not([data-state=live])')"""
KEY = re.compile(
    r"\b(?:app|common|nav|pane|alarm|rollcall|call|device|links|link|system|tree|wall|overview|login|banner|report|warning|order|duty|recording|press)\.\w+"
)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
OWN_WORDS = ".rail, .page-head, th, dt, .tiles span, .counters span, footer.status, .views, .layouts"


@pytest.fixture(scope="module", autouse=True)
def furnished(stage: Stage) -> None:
    """Give the pages something to show: alarms of all four levels, an order, a warning and a report."""
    sent = datetime.now(CHINA).isoformat(timespec="seconds")
    inbox = f"{stage.url(CITY)}/api/v1/cap"
    officer = stage.places["gateways"][CITY]["users"]["duty_officer"]["token"]
    warned = alert(identifier=secrets.token_hex(8), headline="如东县气象台发布暴雨红色预警", sent=sent)
    httpx.post(inbox, content=warned, headers={"Authorization": f"Bearer {officer}"}, timeout=60).raise_for_status()
    stage.tell(CITY, "duty_officer", "/reports", {"drill": True})
    content = {
        "type": "prevent",
        "urgency": "flash",
        "title": "做好强降雨防范应对",
        "content": "立即转移低洼地区群众。",
    }
    draft = {"content": content | {"units": ["320623", "320612", "320681"]}, "drill": True}
    order = stage.tell(CITY, "dispatcher", "/orders", draft)
    stage.tell(CITY, "duty_officer", f"/orders/{order['id']}/sign", {"send": True})
    said = {"deed": "acknowledged", "by": "李四", "way": "phone"}
    stage.tell(CITY, "duty_officer", f"/orders/{order['id']}/units/320612/answer", said)
    wishes = [("320612-box", 1, "可燃气体浓度超限"), ("320623-box", 2, "一小时雨量超过 50 毫米"),
              ("320681-box", 3, "视频机房温度偏高"), ("320685-box", 4, "大风蓝色预警")]  # fmt: skip
    for node, severity, headline in wishes:
        stage.raise_alarm(
            node, severity=severity, headline=headline, detail="由现场传感器自动上报", value=21.4, unit=""
        )


def settle(page: Page, name: str) -> None:
    """Wait until the page shows what it is for, and nothing is being loaded any more."""
    page.locator("main h1").first.wait_for(timeout=MINUTE)
    page.wait_for_function("() => !/正在加载|Loading/.test(document.querySelector('main').innerText)", timeout=MINUTE)
    if name in ("overview", "wall"):
        page.wait_for_function(ALL_LIVE, timeout=2 * MINUTE)
    if name == "roll-call":
        page.locator(".card, [data-test=plan]").first.wait_for(timeout=MINUTE)
        if page.locator(".card").count() == 0:
            page.click("[data-test=plan] [data-test=begin]")
            expect(page.locator("[data-test=state]")).to_have_attribute("data-state", "ended", timeout=3 * MINUTE)
    if name == "dispatch":
        page.locator(".side li[data-centre='320614'] [data-test=dial]").click()
        page.locator("[data-test=far][data-state=live]").wait_for(timeout=2 * MINUTE)
    if name == "alarms":
        page.locator("[data-alarm]").first.wait_for(timeout=MINUTE)
        page.locator(".events li").first.wait_for(timeout=MINUTE)
    if name in ENTRIES:
        page.locator(f"[{ENTRIES[name]}]").first.wait_for(timeout=MINUTE)
        page.locator("section.panel .lines li").first.wait_for(timeout=MINUTE)
    if name == "links":
        page.locator("[data-node]").first.wait_for(timeout=MINUTE)
    if name in ("system", "audit"):
        page.locator("td").first.wait_for(timeout=MINUTE)
    page.wait_for_timeout(400)


def serious(page: Page) -> list[str]:
    """Return axe's critical and serious findings."""
    findings: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']} {[node['html'][:160] for node in one['nodes'][:4]]}"
        for one in findings
        if one["impact"] in ("critical", "serious")
    ]


def keep_picture(page: Page, file: Path) -> None:
    """Keep a picture of the page, its colours rounded so that it packs small."""
    page.screenshot(path=file)
    picture = cv2.imread(str(file))
    cv2.imwrite(str(file), cv2.add(picture, (2, 2, 2, 0)) & 0xFC, [cv2.IMWRITE_PNG_COMPRESSION, 9])


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str, language: str, open_screen: OpenScreen, gallery: Path):
    path, role = PAGES[name]
    screen = open_screen(role, at=OVERVIEW if name == "overview" else LIGHT, language=language)
    page = screen.page
    if name != "overview":  # it opens by itself after signing in
        screen.go(path)
    settle(page, name)
    keep_picture(page, gallery / f"{name}-{language}.png")
    words = page.inner_text("body")
    assert name == "audit" or not KEY.findall(words)  # records of the audit name deeds in the same manner
    if language == "en":
        own = " ".join(page.locator(OWN_WORDS).all_inner_texts())
        assert not CHINESE.findall(own.replace("中文", "")), own
    for width, height in (SMALL, LARGE):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        assert page.evaluate(OVERFLOW) == [], (width, height)
    assert serious(page) == []
    if name == "dispatch":
        page.click("[data-test=hangup]")
        page.locator("[data-test=ended]").wait_for(timeout=MINUTE)
    assert screen.complaints == []


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_login_page(language: str, open_screen: OpenScreen, gallery: Path):
    screen = open_screen(None, language=language)
    screen.page.goto(screen.url)
    screen.page.wait_for_selector("form")
    screen.page.wait_for_timeout(300)
    keep_picture(screen.page, gallery / f"login-{language}.png")
    for width, height in (SMALL, LARGE):
        screen.page.set_viewport_size({"width": width, "height": height})
        assert screen.page.evaluate(OVERFLOW) == []
    assert serious(screen.page) == []
    assert screen.complaints == []


def test_the_language_switch_speaks_at_once_and_is_remembered(open_screen: OpenScreen):
    page = open_screen().page
    expect(page.locator(".rail")).to_contain_text("视频点名")
    page.click("[data-test=language]")
    expect(page.locator(".rail")).to_contain_text("Roll call")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.locator(".rail")).to_contain_text("Roll call")


def test_a_lost_connection_is_said_and_mended(open_screen: OpenScreen):
    screen = open_screen()
    page = screen.page
    screen.context.set_offline(True)
    expect(page.locator("[data-test=banner]")).to_contain_text("网络已断开", timeout=MINUTE)
    screen.context.set_offline(False)
    expect(page.locator("[data-test=banner]")).to_have_count(0, timeout=MINUTE)
    expect(page.locator("[data-test=wire]")).to_have_attribute("data-state", "open", timeout=MINUTE)


def test_all_can_be_reached_by_keyboard(open_screen: OpenScreen):
    page = open_screen(at=OVERVIEW).page
    page.wait_for_selector(".acts button")
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(FOCUSED))
    assert {"/", "/video-wall", "/alarms", "/roll-call", "/dispatch", "/links"} <= reached
    assert any(label.startswith("观看") for label in reached)
    assert any(label.startswith("呼叫") for label in reached)


def test_the_tree_tells_every_county_of_the_city(open_screen: OpenScreen, stage: Stage):
    page = open_screen(at=OVERVIEW).page
    centres = stage.ask(CITY, "dispatcher", "/centres")
    counties = [c for c in (centres["items"] if isinstance(centres, dict) else centres) if c["tier"] == "county"]
    assert len(counties) == 7
    for centre in counties:
        row = page.locator(f".tree li[data-centre='{centre['code']}']")
        expect(row).to_contain_text(centre["name"])
        expect(row.get_by_role("img", name="在线").first).to_be_visible(timeout=MINUTE)
