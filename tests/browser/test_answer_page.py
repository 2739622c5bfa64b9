"""The duty room's page in a real browser, in the real chain: a county is switched to "a person answers" and rung."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.bench.chromium import MARK
from tests.browser.test_pages import keep_picture, serious
from tests.support.screen import CITY, LARGE, MINUTE, SMALL
from tests.support.stage import Stage

COUNTY, NODE = "320682", "320682-box"
MARKED = "(code) => silianMark(document.querySelector('[data-test=still]'))?.code === code"
OVERFLOW = "() => document.scrollingElement.scrollWidth > innerWidth"


@dataclass
class Room:
    """One county's duty room."""

    stage: Stage
    page: Page

    @property
    def place(self) -> dict[str, str]:
        return dict(self.stage.places["agents"][NODE]["answer_page"])

    def enter(self, pin: str) -> None:
        self.page.fill("#pin", pin)
        self.page.click("#door button[type=submit]")

    def call(self) -> str:
        """Call the roll of this county alone; return its number."""
        user = self.stage.places["gateways"][CITY]["users"]["caller"]
        answer = httpx.post(
            f"{self.stage.url(CITY)}/api/v1/roll-calls",
            json={"centres": [COUNTY], "drill": True},
            headers={"Authorization": f"Bearer {user['token']}"},
            timeout=20,
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    def point(self, number: str) -> dict[str, object]:
        return dict(self.stage.ask(CITY, "caller", f"/roll-calls/{number}")["points"][0])


def restart(stage: Stage, change: str) -> None:
    """Let the agent run with `change` behind its settings; the demo starts it again by itself."""
    file = Path(stage.places["state_dir"]) / "config" / f"agent-{NODE}.toml"
    file.write_text(file.read_text("utf-8").partition("\n# changed by a test\n")[0] + change, "utf-8")
    os.kill(stage.process(f"agent-{NODE}"), signal.SIGTERM)


@pytest.fixture(scope="module")
def asking(stage: Stage) -> Iterator[Stage]:
    restart(stage, '\n# changed by a test\n[answer]\npolicy = "ring"\n')
    yield stage
    restart(stage, "")


@pytest.fixture
def room(asking: Stage, browser: Browser) -> Iterator[Room]:
    context = browser.new_context(viewport={"width": SMALL[0], "height": SMALL[1]}, timezone_id="Asia/Shanghai")
    context.add_init_script(MARK)
    made = Room(asking, context.new_page())
    for _ in range(120):
        try:
            made.page.goto(made.place["url"])
            break
        except Exception:  # noqa: BLE001 - the agent is being started again
            made.page.wait_for_timeout(500)
    yield made
    context.close()


def fits(page: Page) -> None:
    for width, height in (SMALL, LARGE, (768, 1024), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert not page.evaluate(OVERFLOW), (width, height)
    page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})


def test_the_duty_room_answers_a_roll_call(room: Room, gallery: Path):
    page = room.page
    expect(page.locator("[data-test=door]")).to_be_visible(timeout=MINUTE)
    room.enter("000000000")
    expect(page.locator("#pin_fault")).to_contain_text("PIN 不正确")
    assert serious(page) == []
    room.enter(room.place["pin"])
    expect(page.locator("[data-test=idle]")).to_be_visible()
    expect(page.locator("[data-test=link]")).to_have_text("与上级已连接", timeout=2 * MINUTE)
    keep_picture(page, gallery / "answer-idle-zh-CN.png")

    number = room.call()
    expect(page.locator("[data-test=stage]")).to_contain_text("正在响铃", timeout=MINUTE)
    expect(page.locator("[data-test=stage]")).to_contain_text("视频点名")
    expect(page.locator("[data-test=caller]")).to_contain_text("南通市")
    page.wait_for_function(MARKED, arg=COUNTY, timeout=MINUTE)
    page.fill("[data-test=who]", "")
    page.click("[data-test=answer]")
    expect(page.locator("[data-test=fault]")).to_have_text("请填写或选择应答人")
    keep_picture(page, gallery / "answer-ringing-zh-CN.png")
    fits(page)
    page.reload()  # a reload in the middle of a ring changes nothing
    expect(page.locator("[data-test=stage]")).to_contain_text("正在响铃", timeout=MINUTE)
    page.fill("[data-test=who]", "王芳")
    page.fill("[data-test=leader]", "李强")
    page.click("#more")
    page.click("#more")
    page.fill("[data-test=note]", "无突发情况")
    page.click("[data-test=answer]")
    expect(page.locator("[data-test=stage]")).to_contain_text("已接听", timeout=MINUTE)
    expect(page.locator("[data-test=saved]")).to_contain_text("已提交")
    page.click("[data-test=language]")
    expect(page.locator("[data-test=stage]")).to_contain_text("Answered")
    page.wait_for_timeout(300)
    keep_picture(page, gallery / "answer-answered-en.png")
    assert serious(page) == []
    point = room.point(number)
    for _ in range(240):
        if point["settled_at"]:
            break
        page.wait_for_timeout(500)
        point = room.point(number)
    assert (point["answered_by"], point["state"], point["attempts"]) == ("王芳", "passed", 1), point
    assert (point["answer"]["leader"], point["answer"]["by"]) == ("李强", "person"), point


def test_a_dispatch_call_rings_and_is_declined(room: Room, open_screen):
    page = room.page
    room.enter(room.place["pin"])
    # While a roll call that was answered goes on, its caller is connected without a second ring.
    expect(page.locator("[data-test=idle]")).to_be_visible(timeout=3 * MINUTE)
    city = open_screen()
    city.go("/dispatch")
    city.page.locator(f".side li[data-centre='{COUNTY}'] [data-test=dial]").click()
    expect(page.locator("[data-test=stage]")).to_contain_text("视频调度呼叫 · 正在响铃", timeout=MINUTE)
    page.click("[data-test=decline]")
    expect(city.page.locator("[data-test=ended]")).to_contain_text("拒绝", timeout=MINUTE)
    expect(page.locator("[data-test=past] li").first).to_contain_text("已拒绝")
