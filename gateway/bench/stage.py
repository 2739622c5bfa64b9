"""The stage of a roll call (逐一点名) in Chromium: how long from the caller's key to the next county's picture.

One city gateway calls counties with a live test card each, one after the other, as often as it takes for enough
switches. The key is pressed in a real page as soon as the next county's picture stands ready beside the stage. **The
clock stops with the first painted stage whose pixels bear the code of the county that was named**; the mark also says
how old that picture was. The caller says 到 at once, so counties follow each other quicker than people could call them;
their boxes run at a lower priority, as they would be other machines.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.bench.chromium import CHROMIUM, FLAGS, MARK, missing
from gateway.bench.figures import Figures, Reach
from gateway.bench.processes import machine
from gateway.bench.rollcall.plan import CITY, DAY, FIRST_CODE, THERE, County, Plan, Story, table
from gateway.bench.run import commit
from gateway.bench.tiers import ACCOUNT, PASSWORD, Program, Tier, Tiers, build, free_ports
from protocols.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from playwright.async_api import Page

CONSOLE: Final = Path(__file__).parents[1] / "console" / "static" / "index.html"
ENOUGH: Final = 50
LINK_UP_S: Final = 120.0
HOSTS: Final = 2
WIDTH, HEIGHT = 320, 180
"""Encoders, gateway and browser share this machine: what is measured is not how quickly it encodes."""
WITHIN_MS: Final = 60_000.0
REACHES: Final = (Reach("stage_switch_p95_s", 0.3),)
ON_STAGE: Final = """(code) => {
  const video = document.querySelector('[data-test=stage] .seat.front .pane[data-state=live] video')
  return video && silianMark(video)?.code === code
}"""
NEXT_READY: Final = """(code) => {
  const pane = document.querySelector('[data-test=stage] .seat.next .pane[data-state=live]')
  return pane?.dataset.stream.startsWith(code) && silianMark(pane.querySelector('video'))?.code === code
}"""
WATCH: Final = """(code) => {
  // From the key to the first painted stage whose pixels bear the county's code: seen before a paint, told at the next.
  window.switched = new Promise((done) => {
    let pressed = null
    let shown = null
    window.addEventListener('keydown', (event) => { pressed = event.timeStamp }, { capture: true, once: true })
    const look = () => {
      if (shown) return done([performance.now() - pressed, shown.age_ms])
      const video = pressed === null ? null : document.querySelector('[data-test=stage] .seat.front video')
      const mark = video && silianMark(video)
      if (mark?.code === code) shown = mark
      requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  })
}"""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    folder: Path
    counties: int = 14
    switches: int = 55


@dataclass(slots=True)
class Seen:
    """What was measured, in seconds."""

    switches: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)


async def measure(options: Options, say: Callable[[str], None]) -> tuple[Figures, list[str]]:
    """Run; returns figures and what they miss. Raises ConfigError, LinkError where it cannot go on."""
    missing()
    if not CONSOLE.exists():
        raise ConfigError("the console is not built: make console")
    figures, began = Figures(), time.monotonic()
    figures.put("commit", commit())
    figures.put("machine", machine())
    figures.put("load_average_before", os.getloadavg()[0])
    folder = options.folder / "stage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    async with _called(folder, options.counties, say) as (tiers, plan):
        seen = await _watched(tiers.tiers[CITY], plan, options, say)
    figures.put("stage_counties", options.counties)
    figures.put("stage_camera", f"{WIDTH}x{HEIGHT}")
    for key in ("stage_switch_p50_s", "stage_switch_p95_s"):
        figures.ranked(key, seen.switches, ENOUGH)
    figures.put("stage_switch_max_s", max(seen.switches))
    figures.ranked("stage_picture_age_p95_s", seen.ages, ENOUGH)
    figures.put("load_average_after", os.getloadavg()[0])
    figures.put("duration_s", round(time.monotonic() - began, 1))
    return figures, figures.missed(REACHES)


@contextlib.asynccontextmanager
async def _called(folder: Path, count: int, say: Callable[[str], None]) -> AsyncIterator[tuple[Tiers, Plan]]:
    """Run the city's gateway and its counties until the context ends."""
    story = Story("day", DAY, THERE, count)
    plan = Plan(tuple(County(str(FIRST_CODE + at), f"模拟{at + 1:03d}县", story, "") for at in range(count)))
    (folder / "centres.csv").write_text(table(plan), "utf-8")
    adjust = {CITY: {"centre": {"table": str(folder / "centres.csv")}}}
    tiers = await build(folder, {CITY: None}, {one.node: CITY for one in plan.counties}, adjust=adjust)
    files = [_agent_file(folder, one, tiers, port) for one, port in zip(plan.counties, free_ports(count), strict=True)]
    command = ["nice", "-n", "10", sys.executable, "-m", "edge_agent.host"]
    hosts = [
        Program(f"host{at}", [*command, *map(str, files[at::HOSTS])], folder / f"host{at}.log")
        for at in range(min(HOSTS, count))
    ]
    try:
        await tiers.start()
        await asyncio.gather(*(host.start() for host in hosts))
        await _linked(tiers.tiers[CITY], plan, hosts, say)
        yield tiers, plan
    finally:
        await asyncio.gather(*(host.stop() for host in hosts))
        await tiers.stop()


def _agent_file(folder: Path, county: County, tiers: Tiers, port: int) -> Path:
    given, state = tiers.passes[county.node], folder / county.node
    sections: dict[str, dict[str, Any]] = {
        "node": {"id": county.node},
        "gateway": {"url": given.url, "enrolment_token": given.token},
        "state": {"dir": str(state), "quota_mb": 16, "ballast_mb": 1},
        "management": {"port": port},
        "answer_page": {"enabled": False},
        "answer": {"policy": "auto", "announce": "none"},
    }
    lines = [f"[{name}]\n{_keys(keys)}" for name, keys in sections.items()]
    camera = {"name": "room", "title": "指挥大厅", "kind": "testcard", "width": WIDTH, "height": HEIGHT}
    lines.append("[[cameras]]\n" + _keys(camera))
    file = folder / f"{county.node}.toml"
    file.write_text("".join(lines), "utf-8")
    return file


def _keys(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


async def _linked(city: Tier, plan: Plan, hosts: list[Program], say: Callable[[str], None]) -> None:
    wanted, deadline = {one.code for one in plan.counties}, time.monotonic() + LINK_UP_S
    while time.monotonic() < deadline:
        cameras = await city.get("/api/v1/cameras")
        rows = cameras["items"] if isinstance(cameras, dict) else cameras
        known = wanted & {one["id"].partition("/")[0] for one in rows}
        if known == wanted:
            return
        if any(host.pid is None for host in hosts):
            raise LinkError(f"counties ended by themselves; see {hosts[0].log.parent}")
        say(f"{len(known)} of {len(wanted)} counties are linked ...")
        await asyncio.sleep(2.0)
    raise LinkError(f"not all counties were linked within {LINK_UP_S:g} s; see {hosts[0].log.parent}")


async def _watched(city: Tier, plan: Plan, options: Options, say: Callable[[str], None]) -> Seen:
    """Conduct calls in a page until there were enough switches."""
    from playwright.async_api import Error, async_playwright

    seen, codes = Seen(), [one.code for one in plan.counties]
    try:
        async with async_playwright() as play:
            browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await browser.new_page(viewport={"width": 1366, "height": 768}, locale="zh-CN")
            await page.add_init_script(MARK)
            await _sign_in(page, city)
            while len(seen.switches) < options.switches:
                say(f"{len(seen.switches)} switches ...")
                await _conduct(page, city, codes, options.switches, seen)
            await browser.close()
    except Error as error:
        raise LinkError(f"the page did not do it: {error.message.splitlines()[0]}") from error
    return seen


async def _sign_in(page: "Page", city: Tier) -> None:
    await page.goto(f"{city.settings.base_url}/links")
    await page.fill("input[autocomplete=username]", ACCOUNT)
    await page.fill("input[type=password]", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_selector("[data-test=wire][data-state=open]", timeout=WITHIN_MS)


async def _conduct(page: "Page", city: Tier, codes: list[str], enough: int, seen: Seen) -> None:
    """Call all counties once, one after the other."""
    call = await city.call("POST", "/api/v1/roll-calls", {"mode": "sequential", "centres": codes})
    at = f"/api/v1/roll-calls/{call['id']}"
    await page.goto(f"{city.settings.base_url}/roll-call")
    await page.wait_for_function(ON_STAGE, arg=codes[0], timeout=WITHIN_MS)
    for before, code in itertools.pairwise(codes):
        await _say_present(city, f"{at}/points/{before}")
        await page.wait_for_function(NEXT_READY, arg=code, timeout=WITHIN_MS)
        await page.evaluate(WATCH, code)
        await page.keyboard.press("n")
        took, age = await page.evaluate("() => window.switched")
        seen.switches.append(took / 1000)
        seen.ages.append(age / 1000)
        if len(seen.switches) >= enough:
            break
    await city.call("POST", f"{at}/finish", {})


async def _say_present(city: Tier, point: str) -> None:
    """Give the caller's verdict; the gateway may have found it first."""
    with contextlib.suppress(LinkError):
        await city.call("POST", f"{point}/verdict", {"state": "passed", "why": "bench"})
