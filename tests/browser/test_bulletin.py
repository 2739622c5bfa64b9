"""From the end of a roll call to the signature of a county, on two consoles."""

import io
import zipfile

from playwright.sync_api import expect

from tests.support.screen import CITY, MINUTE, OpenScreen, open_plan
from tests.support.stage import Stage

COUNTY = "320623"


def test_a_bulletin_is_confirmed_published_and_signed_for_by_the_county(open_screen: OpenScreen, stage: Stage):
    caller = open_screen("caller")
    caller.go("/roll-call")
    open_plan(caller.page)
    with caller.page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/roll-calls")) as started:
        caller.page.click("[data-test=begin]")
    number = started.value.json()["id"]
    ended = caller.page.locator(f"[data-test=state][data-call='{number}']")
    expect(ended).to_have_attribute("data-state", "ended", timeout=3 * MINUTE)
    caller.go("/roll-call/review")
    caller.page.click(f"a[data-call='{number}']")
    expect(caller.page.locator("[data-test=second]")).to_be_visible()
    expect(caller.page.locator("[data-test=review]")).to_be_disabled()

    officer = open_screen("duty_officer")
    page = officer.page
    officer.go("/roll-call/review")
    page.click(f"a[data-call='{number}']")
    expect(page.locator(".sheet tr[data-centre]")).to_have_count(7)
    page.click("[data-test=review]")
    expect(page.locator("[data-test=reviewed]")).to_be_visible()
    expect(page.locator("[data-test=publish]")).to_be_disabled()

    county = open_screen("duty_officer", COUNTY)
    county.go("/roll-call/bulletins")
    result = county.page.locator(f"[data-result='{number}']")
    expect(result).to_be_visible(timeout=MINUTE)
    result.locator("input").fill("当时已应答")
    result.locator("button").click()
    objection = page.locator("[data-test=objection]")
    expect(objection).to_have_attribute("data-state", "open", timeout=MINUTE)
    objection.locator("input").fill("截图为证")
    objection.locator("[data-test=reject]").click()
    expect(objection).to_have_attribute("data-state", "rejected")

    page.get_by_placeholder("理由").first.fill("各单位均无其他异议")
    page.click("[data-test=close-window]")
    page.get_by_label("整改要求").fill("逐一检查备用线路")
    page.click("[data-test=publish]")
    expect(page.locator("[data-test=review-state]")).to_have_attribute("data-state", "published")

    item = county.page.locator("[data-bulletin]").first
    expect(item).to_be_visible(timeout=MINUTE)
    item.click()
    county.page.get_by_placeholder("整改情况或意见（可空）").fill("收到，已部署")
    county.page.click("[data-test=sign]")
    expect(county.page.locator("[data-test=signed]")).to_contain_text("收到，已部署")
    mine = page.locator(f"[data-test=receipts] li[data-centre='{COUNTY}']")
    expect(mine).to_have_attribute("data-signed", "true", timeout=MINUTE)
    expect(mine).to_contain_text("收到，已部署")

    expect(page.locator(".tabs a[aria-current=page]")).to_have_attribute("href", "/roll-call/review")
    without = page.locator("[data-test=receipts] li[data-centre='320612']")
    expect(without).to_contain_text("电话通知")  # a box alone cannot sign

    with page.expect_download() as download:
        page.click("[data-test=sheet-xlsx]")
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as book:
        assert any(name.startswith("xl/worksheets/") for name in book.namelist())
    with page.expect_download() as download:
        page.click("[data-test=bulletin-leaders]")
    assert download.value.path().read_bytes().startswith(b"%PDF")
    officer.go("/roll-call/monthly")
    expect(page.locator("tr[data-centre]")).to_have_count(7)
    name = page.locator("tr[data-centre='320612'] td").nth(1)
    expect(name).to_have_text("通州区")
    assert name.bounding_box()["width"] > 60, "a unit is known by its name on a small screen too"
    told = stage.ask(CITY, "auditor", f"/roll-calls/{number}/review")
    assert told["bulletins"][0]["number"].startswith("点名通报〔")
