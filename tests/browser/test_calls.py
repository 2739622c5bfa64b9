"""Dispatch calls with the browser's microphone and camera: an agent that answers by itself, and a county's console."""

from playwright.sync_api import Page, expect

from tests.support.asked import until_answered
from tests.support.screen import MINUTE, OpenScreen

SHOWS = """(centre) => {
  const video = document.querySelector('[data-test=far] video')
  return video && silianMark(video)?.code === centre
}"""
MOVES = """async () => {
  const video = document.querySelector('[data-test=far] video')
  if (!video || !video.videoWidth) return null
  const one = silianLook(video)
  await new Promise((done) => setTimeout(done, 700))
  const two = silianLook(video)
  return two.deviation > 4 && one.digest !== two.digest ? two : null
}"""


def dial(page: Page, centre: str) -> None:
    """Press "call" beside one county."""
    page.locator(f".side li[data-centre='{centre}'] [data-test=dial]").click()


def test_a_county_without_console_answers_by_policy(open_screen: OpenScreen):
    screen = open_screen()
    page = screen.page
    screen.go("/dispatch")
    dial(page, "320614")
    expect(page.locator("[data-test=self]")).to_be_visible(timeout=MINUTE)
    page.wait_for_function(SHOWS, arg="320614", timeout=2 * MINUTE)
    expect(page.locator(".pane.speaking, .self.speaking")).to_have_count(1, timeout=MINUTE)
    page.click("[data-test=mute]")
    expect(page.locator("[data-test=mute]")).to_contain_text("取消静音")
    # Nobody is left on this side to speak: the mark goes to the county, or stays there.
    expect(page.locator("[data-test=far].speaking")).to_have_count(1, timeout=MINUTE)
    page.click("[data-test=hangup]")
    expect(page.locator("[data-test=ended]")).to_contain_text("海门区", timeout=MINUTE)
    expect(page.get_by_role("list", name="通话记录").locator("li").first).to_contain_text("已挂断")


def test_the_county_console_rings_and_both_see_each_other(open_screen: OpenScreen):
    city, county = open_screen(), open_screen(code="320623")
    city.go("/dispatch")
    dial(city.page, "320623")
    banner = county.page.locator("[data-test=incoming]")
    expect(banner).to_contain_text("南通市", timeout=MINUTE)
    banner.get_by_role("button", name="接听").click()
    for screen in (city, county):
        until_answered(screen.page, MOVES, 120)
    county.page.click("[data-test=hangup]")
    expect(city.page.locator("[data-test=ended]")).to_be_visible(timeout=MINUTE)


def test_a_declined_call_ends_with_its_reason(open_screen: OpenScreen):
    city, county = open_screen(), open_screen(code="320623")
    city.go("/dispatch")
    dial(city.page, "320623")
    county.page.locator("[data-test=incoming]").get_by_role("button", name="拒绝").click(timeout=MINUTE)
    expect(city.page.locator("[data-test=ended]")).to_contain_text("拒绝", timeout=MINUTE)


def test_a_refused_microphone_is_explained_and_the_call_goes_on(open_screen: OpenScreen):
    screen = open_screen()
    screen.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')) }"
    )
    screen.go("/dispatch")
    dial(screen.page, "320682")
    expect(screen.page.locator("[data-test=device-fault]")).to_contain_text("权限被拒绝", timeout=MINUTE)
    screen.page.click("[data-test=hangup]")
