"""What a person sees when the gateway dies under the page: it is said, and everything comes back by itself."""

import os
import signal

from playwright.sync_api import expect

from tests.support.screen import CITY, MINUTE, OVERVIEW, OpenScreen
from tests.support.stage import Stage

FRESH = """() => [...document.querySelectorAll('.pane')].filter((pane) => {
  const mark = silianMark(pane.querySelector('video'))
  return pane.dataset.state === 'live' && mark && mark.age_ms < 4000
}).length >= 3"""
PLAYING = "() => document.querySelectorAll('.pane[data-state=live]').length >= 3"


def test_a_killed_gateway_is_announced_and_the_pictures_return(open_screen: OpenScreen, stage: Stage):
    page = open_screen(at=OVERVIEW).page
    page.wait_for_function(PLAYING, timeout=2 * MINUTE)
    before = stage.process(f"gateway-{CITY}")
    os.kill(before, signal.SIGKILL)
    expect(page.locator("[data-test=banner]")).to_contain_text("已断开", timeout=MINUTE)
    expect(page.locator("[data-test=wire]")).to_have_attribute("data-state", "open", timeout=2 * MINUTE)
    expect(page.locator("[data-test=banner]")).to_have_count(0, timeout=MINUTE)
    page.wait_for_function(FRESH, timeout=3 * MINUTE)
    assert stage.process(f"gateway-{CITY}") != before
