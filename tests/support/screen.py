"""One person's browser window on one gateway."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

CITY = "320600"
SMALL, LARGE = (1366, 768), (1920, 1080)
LIGHT = "/links"
"""A page that every role may see and that plays nothing: the overview keeps seven encoders and decoders at work."""
OVERVIEW = "/"
MINUTE = 60_000
"""Milliseconds; the limit for whatever has to travel through the chain on a busy machine."""


class Screen:
    """One person's browser window on one gateway, with all that its console complained about."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("requestfailed", lambda request: self._foreign(request.url))
        page.on("request", lambda request: self._foreign(request.url))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _foreign(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"foreign address asked: {url}")

    def go(self, path: str) -> None:
        """Choose a page on the rail, and a tab of it, as a person does."""
        if path.startswith("/roll-call/"):
            self.page.click(".rail a[href='/roll-call']")
            self.page.click(f".tabs a[href='{path}']")
        elif path == "/alarms/chain":
            self.page.click(".rail a[href='/alarms']")
            self.page.click("[data-test=to-chain]")
        else:
            self.page.click(f".rail a[href='{path}']")
        self.page.wait_for_function("(path) => location.pathname.startsWith(path)", arg=path, timeout=MINUTE)

    def sign_in(self, name: str, password: str, at: str = LIGHT) -> None:
        """Fill the login form and wait for the shell of the page `at`."""
        self.page.goto(f"{self.url}{at}")
        self.page.fill("input[autocomplete=username]", name)
        self.page.fill("input[type=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector(".shell", timeout=MINUTE)
        self.page.wait_for_selector("[data-test=wire][data-state=open]", timeout=MINUTE)


OpenScreen = Callable[..., Screen]


def open_plan(page: Page) -> None:
    """Open the form of a new roll call; without any roll call it stands there already."""
    page.locator("[data-test=plan-new], [data-test=plan]").first.wait_for(timeout=MINUTE)
    if page.locator("[data-test=plan-new]").count():
        page.click("[data-test=plan-new]")
    expect(page.locator("[data-plan]")).to_have_count(7, timeout=MINUTE)
