"""Live pictures, judged by their decoded pixels: each pane must show its own county, now."""

from playwright.sync_api import Page, expect

from tests.support.screen import MINUTE, OVERVIEW, OpenScreen

FRESH_MS = 3000
THREE = """([least, fresh]) => {
  const seen = [...document.querySelectorAll('.pane[data-stream]')].map((pane) => {
    const mark = silianMark(pane.querySelector('video'))
    return { centre: pane.dataset.stream.split('/')[0], state: pane.dataset.state, mark }
  })
  const wrong = seen.filter((one) => one.mark && one.mark.code !== one.centre)
  if (wrong.length) return { wrong }
  const right = seen.filter((one) => one.state === 'live' && one.mark && Math.abs(one.mark.age_ms) < fresh)
  return new Set(right.map((one) => one.centre)).size >= least ? { right } : null
}"""


def counties_playing(page: Page, least: int) -> list[dict[str, object]]:
    """Wait until `least` counties play at the same moment; fail at once where a pane shows another county."""
    found = page.wait_for_function(THREE, arg=[least, FRESH_MS], timeout=2 * MINUTE).json_value()
    assert "wrong" not in found, found
    return found["right"]


def test_at_least_three_counties_play_at_once(open_screen: OpenScreen):
    page = open_screen(at=OVERVIEW).page
    assert len(counties_playing(page, 3)) >= 3


def test_the_nation_sees_the_counties_through_all_tiers(open_screen: OpenScreen):
    page = open_screen(code="000000", at=OVERVIEW).page
    assert len(counties_playing(page, 3)) >= 3


def test_the_wall_takes_units_by_mouse_and_keeps_its_layout(open_screen: OpenScreen):
    screen = open_screen()
    page = screen.page
    screen.go("/video-wall")
    page.get_by_role("button", name="4 画面").click()
    expect(page.locator("[data-pane]")).to_have_count(4)
    page.locator("[data-pane='2']").get_by_label("移出窗格").click(force=True)
    expect(page.locator("[data-pane='2'] .pane")).to_have_count(0)
    page.locator(".tree li[data-centre='320682']").drag_to(page.locator("[data-pane='2']"))
    expect(page.locator("[data-pane='2'] .pane")).to_have_attribute("data-stream", "320682/room")
    expect(page.locator("[data-pane='2'] .plate")).to_contain_text("县级如皋市指挥大厅")
    expect(page.locator("[data-pane='2'] .pane")).to_have_attribute("data-state", "live", timeout=MINUTE)
    page.locator("[data-pane='2']").dblclick()
    expect(page.locator(".stage")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".stage")).to_have_count(0)
    expect(page.locator("[data-pane]")).to_have_count(4)
    page.reload()
    expect(page.locator("[data-pane='2'] .pane")).to_have_attribute("data-stream", "320682/room")


def test_a_recorded_film_is_labelled_on_its_plate(open_screen: OpenScreen):
    screen = open_screen(at=OVERVIEW)
    screen.page.get_by_role("button", name="河道监控").click()
    plate = screen.page.locator(".pane[data-stream='320613/river'] .plate")
    expect(plate).to_contain_text("录像演示", timeout=MINUTE)


def test_hidden_panes_give_their_connection_back(open_screen: OpenScreen):
    screen = open_screen(at=OVERVIEW)
    screen.page.add_init_script("")
    counties_playing(screen.page, 3)
    left: list[str] = []
    screen.page.on("request", lambda r: left.append(r.url) if r.method == "DELETE" and "/whep/" in r.url else None)
    playing = screen.page.locator(".pane[data-state=live]").count()
    screen.go("/links")
    screen.page.wait_for_selector("[data-node]")
    screen.page.wait_for_timeout(500)
    assert len(left) >= playing
