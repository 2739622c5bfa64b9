"""Waiting for what a page answers with a promise.

Playwright's own `wait_for_function` takes the promise itself for true and so waits for nothing.
"""

import asyncio
import time
from typing import Any

from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Page

EVERY_S = 0.1


def until_answered(page: Page, question: str, within_s: float, arg: Any = None) -> Any:
    """Ask a page until its answer is true, and return that. Raises AssertionError with the last answer."""
    end = time.monotonic() + within_s
    while not (answer := page.evaluate(question, arg)):
        assert time.monotonic() < end, f"after {within_s} s the page still answered {answer!r} to {question}"
        page.wait_for_timeout(EVERY_S * 1000)
    return answer


async def until_page_answers(page: AsyncPage, question: str, within_s: float, arg: Any = None) -> Any:
    """Do the same for a page that is driven in a loop."""
    end = time.monotonic() + within_s
    while not (answer := await page.evaluate(question, arg)):
        assert time.monotonic() < end, f"after {within_s} s the page still answered {answer!r} to {question}"
        await asyncio.sleep(EVERY_S)
    return answer
