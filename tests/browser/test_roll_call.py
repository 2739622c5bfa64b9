"""The roll call on the screen, from the button to the sheet."""

import csv
import io
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.test_pages import keep_picture
from tests.support.screen import CITY, MINUTE, OpenScreen, open_plan
from tests.support.stage import Stage

LOADED = """() => [...document.querySelectorAll('.card[data-state=passed] img')]
  .every((img) => img.complete && img.naturalWidth)"""
STILLS = """() => [...document.querySelectorAll('.card[data-state=passed]')].map((card) => {
  const img = card.querySelector('img')
  return { centre: card.dataset.centre, mark: img && img.complete && img.naturalWidth ? silianMark(img) : null }
})"""


def test_one_button_calls_the_roll_of_seven_counties(open_screen: OpenScreen, stage: Stage, gallery: Path):
    screen = open_screen("caller")
    page = screen.page
    screen.go("/roll-call")
    open_plan(page)
    keep_picture(page, gallery / "roll-call-plan-zh-CN.png")
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/roll-calls")) as started:
        page.click("[data-test=begin]")
    number = started.value.json()["id"]
    state = page.locator(f"[data-test=state][data-call='{number}']")
    expect(page.locator(".card")).to_have_count(7, timeout=MINUTE)
    expect(state).to_have_attribute("data-state", "ended", timeout=3 * MINUTE)

    result = stage.ask(CITY, "caller", f"/roll-calls/{number}")
    expect(page.locator("[data-test=due]")).to_have_text("7")
    expect(page.locator("[data-test=present]")).to_have_text(str(result["present"]))
    expect(page.locator("[data-test=absent]")).to_have_text(str(result["absent"]))
    assert result["present"] >= 5, [(p["centre"], p["state"], p["reason"], p["note"]) for p in result["points"]]
    expect(page.locator(".card[data-state=passed]")).to_have_count(result["present"])
    assert all(p["reason"] for p in result["points"] if p["state"] == "absent")

    page.wait_for_function(LOADED)
    stills = page.evaluate(STILLS)
    assert len(stills) == result["present"]
    for still in stills:
        assert still["mark"], still
        assert still["mark"]["code"] == still["centre"]

    page.click("[data-test=table]")
    expect(page.locator("tr[data-centre]")).to_have_count(7)
    with page.expect_download() as download:
        page.click("[data-test=csv]")
    content = download.value.path().read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(rows) == 8
    assert "单位" in rows[0]
