"""The storm of `silian bench alarms`: 3,000 alarms in one minute, then 300 a minute, over seven counties.

What the operator sees is judged: how long until an alarm stands on the screen of the city and of the nation, how many
lines the list has, whether a red alarm was lost or late, and whether the gateway's memory grows with the storm.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.bench.processes import rss_mb
from gateway.bench.screen import Screen

if TYPE_CHECKING:
    from gateway.bench.alarms import Bench

CITY, NATION = "320600", "000000"
LATE_S = 2.0
SEVERITIES = [3, 4, 4, 2, 4, 3, 4, 1, 4, 4, 3]
"""Eleven, so that each county and key meets every severity in turn."""


async def storm(bench: "Bench") -> None:
    """Measure the storm; `quick` makes it short and thin."""
    quick = bench.options.quick
    parts = ((50.0, 3.0), (5.0, 2.0)) if quick else ((50.0, 60.0), (5.0, 240.0))
    nodes = list(bench.tiers.passes)
    screens = [Screen(bench.tiers.tiers[code]) for code in (CITY, NATION)]
    groups: list[int] = []
    told: list[Sequence[Any]] = []
    rss: list[float] = []
    pid = bench.tiers.tiers[CITY].program.pid or 0
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(screen.run(), name=f"screen[{screen.tier.code}]") for screen in screens]
        tasks.append(group.create_task(_look(bench, groups), name="groups"))
        await asyncio.gather(*(screen.ready.wait() for screen in screens))
        for rate, seconds in parts:
            told += await bench.steady("storm", nodes, rate, seconds, SEVERITIES)
            rss.append(rss_mb(pid))
        await _settle(told, screens)
        for task in tasks:
            task.cancel()
    _judge(bench, told, screens, groups)
    bench.figures.put("storm_rss_mb", rss[-1])
    bench.figures.put("storm_rss_growth_mb", rss[-1] - rss[0])


async def _look(bench: "Bench", groups: list[int]) -> None:
    """Read the folded list as a console does."""
    tiers = [bench.tiers.tiers[code] for code in (CITY, NATION)]
    while True:
        lists = await asyncio.gather(*(tier.get("/api/v1/alarms/groups") for tier in tiers))
        groups.extend(len(one["items"]) for one in lists)
        await asyncio.sleep(1.0)


async def _settle(told: Sequence[Sequence[Any]], screens: Sequence[Screen]) -> None:
    """Give the last alarms their time."""
    deadline = time.monotonic() + 5 * LATE_S
    while time.monotonic() < deadline:
        if all(screen.shown_at(one[1], one[2], one[3]) is not None for screen in screens for one in told[-50:]):
            return
        await asyncio.sleep(0.2)


def _judge(bench: "Bench", told: Sequence[Sequence[Any]], screens: Sequence[Screen], groups: Sequence[int]) -> None:
    figures = bench.figures
    red_lost = red_delayed = lost = 0
    for screen, name in zip(screens, ("screen", "screen_nation"), strict=True):
        took = []
        for _, source, key, number, severity, at in told:
            shown = screen.shown_at(source, key, number)
            red = severity == 1
            if shown is None:
                lost += 1
                red_lost += red
                continue
            took.append(shown - at)
            red_delayed += red and shown - at > LATE_S
        figures.ranked(f"storm_{name}_p95_s", took, 50)
        figures.ranked(f"storm_{name}_p99_s", took, 50)
        if screen.resyncs:
            figures.note(f"the event stream of {screen.tier.code} told its console {screen.resyncs} times to read anew")
    figures.put("storm_alarms", len(told))
    figures.put("storm_not_shown", lost)
    figures.put("storm_red_lost", red_lost)
    figures.put("storm_red_delayed", red_delayed)
    with contextlib.suppress(ValueError):
        figures.put("storm_groups_max", max(groups), len(groups))
