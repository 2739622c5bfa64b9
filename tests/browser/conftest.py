"""Real Chromium on the real demo. These tests are synchronous and run in a pytest process of their own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from gateway.bench.chromium import CHROMIUM, FLAGS, MARK
from tests.support.screen import CITY, LIGHT, SMALL, OpenScreen, Screen
from tests.support.stage import ROOT, Stage, running_stage

expect.set_options(timeout=30_000)  # a machine that starts eleven programs is slow at times


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs Chromium and starts eleven processes."""
    for item in items:
        if "browser" in str(item.path):
            item.add_marker(pytest.mark.external)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(420))


@pytest.fixture(scope="session")
def console() -> None:
    """Build the console of this very tree."""
    subprocess.run([sys.executable, ROOT / "gateway" / "console" / "hatch_build.py"], check=True)


@pytest.fixture(scope="session")
def stage(console: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start the demo once for all tests."""
    with running_stage(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_screen(stage: Stage, browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenScreen]:
    """Open windows; those of a failed test leave a picture under test-results/."""
    screens: list[Screen] = []

    def open_one(
        role: str | None = "dispatcher", code: str = CITY, *, at: str = LIGHT, language: str = "zh-CN"
    ) -> Screen:
        context = browser.new_context(
            viewport={"width": SMALL[0], "height": SMALL[1]},
            locale=language,
            timezone_id="Asia/Shanghai",
            color_scheme="dark",
            permissions=["camera", "microphone"],
        )
        context.add_init_script(MARK)
        context.add_init_script(
            f"localStorage.getItem('silian.locale') ?? localStorage.setItem('silian.locale', '{language}')"
        )
        screen = Screen(context, context.new_page(), stage.url(code))
        screens.append(screen)
        if role is not None:
            screen.sign_in(*stage.account(code, role), at)
        return screen

    yield open_one
    for number, screen in enumerate(screens):
        if getattr(request.node, "failed", False):
            folder = ROOT / "test-results"
            folder.mkdir(exist_ok=True)
            with contextlib.suppress(PlaywrightError):  # a test may have closed one of its windows itself
                screen.page.screenshot(path=folder / f"{request.node.name}-{number}.png")
        screen.context.close()


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures know that their test failed."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        item.failed = True


@pytest.fixture(scope="session")
def gallery() -> Path:
    """Return where pictures of pages go: into the tree only where asked for, so that a test run leaves it clean."""
    folder = ROOT / (
        "gateway/console/screenshots" if os.environ.get("KEEP_SCREENSHOTS") else "test-results/screenshots"
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder
