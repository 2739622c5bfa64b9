"""The wall in a real browser: one connection, the right picture in each pane, switched, hidden, killed and back."""

import contextlib
import os
import re
import signal
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.support.asked import until_answered
from tests.support.screen import CITY, MINUTE, OVERVIEW, OpenScreen
from tests.support.stage import Stage

RIGHT = """([least, fresh]) => {
  const panes = [...document.querySelectorAll('[data-pane] .pane[data-stream]')]
  const seen = panes.filter((pane) => pane.dataset.state === 'live').map((pane) => ({
    centre: pane.dataset.stream.split('/')[0], mark: silianMark(pane.querySelector('video')) }))
  const wrong = seen.filter((one) => one.mark && one.mark.code !== one.centre)
  if (wrong.length) return { wrong }
  const right = seen.filter((one) => one.mark && Math.abs(one.mark.age_ms) < fresh)
  return right.length >= least ? { right: right.map((one) => one.centre) } : null
}"""
STAGED = """(centre) => {
  const pane = document.querySelector('.stage .pane')
  const video = pane?.querySelector('video')
  const mark = video && silianMark(video)
  const right = pane?.dataset.stream.startsWith(centre) && mark?.code === centre
  return pane?.dataset.state === 'live' && right && video.videoWidth >= 600
}"""
NO_WAY = """() => {
  // Every address in a wall's answer leads nowhere: as behind a firewall that lets HTTP alone pass.
  window.noWay = true
  const real = window.fetch
  window.fetch = async (...asked) => {
    const answer = await real(...asked)
    const wall = String(asked[0]).includes('/wall') && ['POST', 'PATCH'].includes(asked[1]?.method)
    if (!window.noWay || !wall || String(asked[0]).includes('/api/')) return answer
    const text = (await answer.text()).replace(/(a=candidate:.* )127\\.0\\.0\\.1 \\d+ /g, '$1127.0.0.1 9 ')
    return new Response(text, { status: answer.status, headers: answer.headers })
  }
}"""
DARK = "() => [...document.querySelectorAll('[data-pane] .pane')].some((pane) => pane.dataset.state !== 'live')"
ANOTHER = """(first) => {
  const now = document.querySelector('.pane.speaking')
  return now !== null && now.dataset.stream !== first
}"""
SOUNDS = """async () => {
  // Whether any of the sounds that play is more than silence.
  const context = new AudioContext()
  const heard = [...document.querySelectorAll('audio')].map((one) => {
    const analyser = context.createAnalyser()
    context.createMediaStreamSource(one.srcObject).connect(analyser)
    return () => {
      const wave = new Float32Array(analyser.fftSize)
      analyser.getFloatTimeDomainData(wave)
      return Math.max(...wave.map(Math.abs))
    }
  })
  await new Promise((done) => setTimeout(done, 300))
  const loudest = Math.max(...heard.map((look) => look()))
  await context.close()
  return loudest > 0.01
}"""
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
  document.dispatchEvent(new Event('visibilitychange'))
}"""


def right_pictures(page: Page, least: int) -> None:
    found = page.wait_for_function(RIGHT, arg=[least, 3000], timeout=3 * MINUTE).json_value()
    assert "wrong" not in found, found


def sent(stage: Stage) -> float:
    """Return how many media packets the city's worker has sent to anybody."""
    management = stage.places["gateways"][CITY]["management"]
    text = httpx.get(f"{management}/metrics", timeout=20).text
    return sum(float(v) for v in re.findall(r"^silian_media_rtp_packets_sent_total\{[^}]*\} (\S+)", text, re.MULTILINE))


def test_a_wall_of_nine_on_one_connection(open_screen: OpenScreen, gallery: Path):
    screen = open_screen(at=OVERVIEW)
    page = screen.page
    page.wait_for_function("() => document.querySelectorAll('.pane[data-state=live]').length >= 5", timeout=2 * MINUTE)
    offers: list[str] = []
    page.on("request", lambda request: offers.append(request.url) if request.method == "POST" else None)
    screen.go("/video-wall")
    page.get_by_role("button", name="9 画面").click()
    right_pictures(page, 5)
    assert [url for url in offers if "/api/" not in url] == [f"{screen.url}/wall"], "the panes share one connection"

    page.locator("[data-pane='1']").focus()
    page.keyboard.press("ArrowRight")
    chosen = page.locator("[data-pane='2'] .pane").get_attribute("data-stream") or ""
    page.keyboard.press("Enter")
    page.wait_for_function(STAGED, arg=chosen[:6], timeout=MINUTE)
    page.locator("[data-pane='3']").dblclick()
    other = page.locator("[data-pane='3'] .pane").get_attribute("data-stream") or ""
    page.wait_for_function(STAGED, arg=other[:6], timeout=MINUTE)
    page.screenshot(path=gallery / "wall-stage.png")
    page.keyboard.press("Escape")
    expect(page.locator(".stage")).to_have_count(0)
    right_pictures(page, 5)


def test_a_hidden_wall_costs_nothing_and_returns(open_screen: OpenScreen, stage: Stage):
    screen = open_screen()
    page = screen.page
    screen.go("/video-wall")
    right_pictures(page, 3)
    page.evaluate(HIDE, arg=True)
    quiet = 0
    before = sent(stage)
    for _ in range(120):
        page.wait_for_timeout(500)
        now = sent(stage)
        quiet = quiet + 1 if now == before else 0
        before = now
        if quiet == 4:
            break
    assert quiet == 4, "packets go on to a page that nobody sees"
    page.evaluate(HIDE, arg=False)
    right_pictures(page, 3)


def test_stills_stand_in_where_no_packet_passes(open_screen: OpenScreen):
    screen = open_screen()
    page = screen.page
    page.evaluate(NO_WAY)
    screen.go("/video-wall")
    still = page.locator("[data-pane='1'] [data-test=still]")
    expect(still).to_contain_text("静态图", timeout=MINUTE)
    page.wait_for_function("() => silianMark(document.querySelector('[data-pane] .still'))?.code", timeout=MINUTE)
    page.evaluate("() => { window.noWay = false }")
    right_pictures(page, 3)
    expect(still).to_have_count(0)


def test_who_speaks_is_marked_and_who_is_muted_is_heard_by_nobody(open_screen: OpenScreen):
    screen = open_screen()
    page = screen.page
    screen.go("/video-wall")
    right_pictures(page, 3)
    page.click("[data-test=floor]")
    speaking = page.locator(".pane.speaking")
    expect(speaking).to_have_count(1, timeout=2 * MINUTE)
    expect(speaking.locator("[data-test=voice]")).to_contain_text("正在发言")
    until_answered(page, SOUNDS, 60)
    first = speaking.get_attribute("data-stream") or ""
    pane = page.locator(f".pane[data-stream='{first}']")
    pane.locator("[data-test=hush]").click()
    try:
        expect(pane.locator("[data-test=voice]")).to_contain_text("已静音")
        page.wait_for_function(ANOTHER, arg=first, timeout=MINUTE)
    finally:
        pane.locator("[data-test=hush]").click()
    expect(pane.get_by_text("已静音")).to_have_count(0)
    page.click("[data-test=floor]")
    expect(speaking).to_have_count(0)


def test_a_killed_media_worker_is_survived(open_screen: OpenScreen, stage: Stage):
    screen = open_screen()
    page = screen.page
    screen.go("/video-wall")
    right_pictures(page, 3)
    gateway = stage.process(f"gateway-{CITY}")
    workers = [pid for pid in children(gateway) if b"media_embedded.worker" in command(pid)]
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-pane] .pane')].some((pane) => pane.dataset.state !== 'live')",
        timeout=MINUTE,
    )
    right_pictures(page, 3)


def children(pid: int) -> list[int]:
    """Return the process ids below one."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                below = int(stat.parent.name)
                found += [below, *children(below)]
    return found


def command(pid: int) -> bytes:
    """Return a process' command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()
