"""What a caller does by hand in a roll call, all in one call: number, undo, retest, pause; and the offers above it."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.support.screen import CITY, MINUTE, OpenScreen
from tests.support.stage import Stage

PROVINCE = "320000"
FIRST, CALLED = "320612", ["320612", "320614"]


class Caller:
    """The caller's page, and what the gateway says of his call."""

    def __init__(self, page: Page, stage: Stage) -> None:
        self.page = page
        self._stage = stage
        token = stage.places["gateways"][CITY]["users"]["caller"]["token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self.id = self.post("", {"centres": CALLED, "mode": "sequential", "drill": True})["id"]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._stage.url(CITY)}/api/v1/roll-calls{path}"
        answer = httpx.post(url, json=body, headers=self._headers, timeout=20)
        answer.raise_for_status()
        return dict(answer.json())

    def point(self) -> dict[str, Any]:
        return next(p for p in self.call()["points"] if p["centre"] == FIRST)

    def call(self) -> dict[str, Any]:
        return dict(self._stage.ask(CITY, "caller", f"/roll-calls/{self.id}"))

    def until(self, condition: Callable[[], Any]) -> None:
        for _ in range(240):
            if condition():
                return
            self.page.wait_for_timeout(250)
        raise AssertionError(self.call())


def test_number_undo_retest_pause_and_offers_in_one_call(open_screen: OpenScreen, stage: Stage):
    page = open_screen("caller").page
    page.on("dialog", lambda dialog: dialog.accept())
    page.click(".rail a[href='/roll-call']")
    caller = Caller(page, stage)
    try:
        named = page.locator(f"[data-point='{FIRST}']")
        expect(named).to_have_attribute("data-state", "verifying", timeout=MINUTE)
        page.keyboard.press("c")
        caller.until(lambda: caller.point()["challenge"])
        caller.until(lambda: caller.point()["settled_at"])
        point = caller.point()
        assert point["state"] in {"passed", "passed_with_issues"}, point
        assert point["attempts"] == 1
        expect(named).to_have_attribute("data-state", point["state"], timeout=MINUTE)

        page.keyboard.press("f")
        page.locator("[data-test=reason] input").fill("口令不符")
        page.click("[data-test=give-reason]")
        expect(named).to_have_attribute("data-state", "failed", timeout=MINUTE)
        page.keyboard.press("z")
        expect(named).to_have_attribute("data-state", point["state"], timeout=MINUTE)
        assert caller.point()["revision"] == 2, "both changes stay readable"

        page.keyboard.press("r")
        caller.until(lambda: caller.point()["attempts"] == 2)
        caller.until(lambda: caller.point()["settled_at"])
        assert caller.point()["state"] in {"passed", "passed_with_issues"}

        page.keyboard.press("b")
        expect(page.locator("[data-test=pause]")).to_have_text("继续", timeout=MINUTE)
        assert caller.call()["state"] == "paused"
        page.keyboard.press("b")
        expect(page.locator("[data-test=pause]")).to_have_text("暂停", timeout=MINUTE)

        for node in ("320682-box", "320685-box"):
            stage.raise_alarm(node)
        line = page.locator("[data-test=offers] li")
        more = page.locator("[data-test=more-offers]")
        expect(more).to_be_visible(timeout=MINUTE)
        assert line.count() == 1, "a storm of alarms takes one line"
        more.click()
        assert line.count() > 1
        gone = line.last.get_attribute("data-offer")
        line.last.locator("[data-test=decline-offer]").click()
        expect(page.locator(f"[data-offer='{gone}']")).to_have_count(0, timeout=MINUTE)
    finally:
        caller.post(f"/{caller.id}/cancel", {"why": "end of a test"})


def test_a_number_asked_for_above_stands_at_both_tiers(open_screen: OpenScreen, stage: Stage):
    above, below = open_screen("caller", PROVINCE).page, open_screen("caller").page
    for page in (above, below):
        page.click(".rail a[href='/roll-call']")
    user = stage.places["gateways"][PROVINCE]["users"]["caller"]
    rules = httpx.put(  # a look long enough for two tiers and a busy machine
        f"{stage.url(PROVINCE)}/api/v1/roll-calls/profiles/patient",
        json={"observe_s": 40.0},
        headers={"Authorization": f"Bearer {user['token']}"},
        timeout=20,
    )
    rules.raise_for_status()
    plan = {"centres": CALLED, "drill": True, "profile": "patient"}
    call = stage.tell(PROVINCE, "caller", "/roll-calls", plan)
    named = above.locator(f"[data-point='{FIRST}']")
    try:
        expect(named).to_have_attribute("data-state", "verifying", timeout=MINUTE)
        named.click()
        verdicts = above.locator(f"[data-verdict='{FIRST}']")
        expect(verdicts).to_contain_text("由南通市代点")
        above.keyboard.press("c")
        expect(verdicts.locator("[data-test=challenge]")).to_be_visible(timeout=MINUTE)
        number = verdicts.locator("[data-test=challenge]").inner_text()
        shown = below.locator(f"[data-verdict='{FIRST}'] [data-test=challenge]")
        expect(shown).to_have_text(number, timeout=MINUTE)
        expect(named).to_have_attribute("data-state", re.compile("^passed"), timeout=2 * MINUTE)
    finally:
        with contextlib.suppress(httpx.HTTPStatusError):  # it has ended by itself
            stage.tell(PROVINCE, "caller", f"/roll-calls/{call['id']}/cancel", {"why": "end of a test"})
