"""`silian bench alarms`: the alarm rows of the contract, over real processes, real brokers and real disks."""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.bench.chaos.database import Database
from gateway.bench.child import Child, child
from gateway.bench.figures import Figures, Reach
from gateway.bench.processes import machine
from gateway.bench.run import commit
from gateway.bench.tiers import Tiers, running
from protocols.errors import ConfigError, LinkError

ONE: Mapping[str, str | None] = {"320600": None}
FOUR: Mapping[str, str | None] = {"000000": None, "320000": "000000", "320600": "320000", "320623": "320600"}
BOX, COUNTY_BOX = "320612-box", "320623-box"
CITY_BOXES = {f"{county}-box": "320600" for county in ("320612", "320613", "320614", "320681", "320682", "320685")}
ENOUGH = 50
DRAIN_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; `quick` measures everything briefly and judges nothing."""

    folder: Path
    only: tuple[str, ...] = ()
    quick: bool = False
    seed: int = 4

    def size(self, full: int, quick: int) -> int:
        """Choose a size."""
        return quick if self.quick else full


@dataclass(slots=True)
class Bench:
    """What the scenarios of one stage share."""

    options: Options
    figures: Figures
    say: Callable[[str], None]
    tiers: Tiers
    load: Child
    commits: Child
    folder: Path = field(default_factory=Path)

    async def join(self, nodes: Sequence[str]) -> None:
        """Open and link nodes."""
        for name in nodes:
            place = self.tiers.passes[name]
            where = str(self.folder / name)
            await self.load.ask("open", name=name, folder=where, url=place.url, token=place.token)
        await asyncio.gather(*(self.load.ask("link", name=name) for name in nodes))

    async def reached(self, code: str, kind: str, count: int, within_s: float) -> float:
        """Wait until a tier holds so many alarm events of a kind; return the moment. Raises LinkError."""
        deadline = time.monotonic() + within_s
        while (found := await self.commits.ask("count", code=code, kind=kind))["count"] < count:
            if time.monotonic() > deadline:
                raise LinkError(f"{code} holds {found['count']} of {count} alarms after {within_s:g} s")
            await asyncio.sleep(0.05)
        return float(found["at"])

    async def steady(
        self, kind: str, nodes: Sequence[str], rate: float, seconds: float, severities: Sequence[int]
    ) -> Any:
        """Put alarms at a rate; return what the sensors were told (`alarm_load.Told`)."""
        asked = {"names": nodes, "rate": rate, "seconds": seconds, "kind": kind, "severities": severities}
        return (await self.load.ask("steady", within_s=seconds + 60, **asked))["told"]

    async def latencies_ms(self, code: str, kind: str, told: Sequence[Sequence[Any]]) -> list[float]:
        """Return for each alarm told of the time from its commit at the edge to its commit at a tier."""
        deadline = time.monotonic() + 60
        while True:
            seen = (await self.commits.ask("seen", code=code, kind=kind))["seen"]
            missing = [one for one in told if one[0] not in seen]
            if not missing:
                return [1000 * (seen[one[0]] - one[5]) for one in told]
            if time.monotonic() > deadline:
                raise LinkError(f"{code} lacks {len(missing)} of {len(told)} alarms of {kind}")
            await asyncio.sleep(0.2)


async def rate(bench: Bench) -> None:
    """Measure alarms a second from one agent to one gateway, from the first put to the last receipt."""
    await _rate(bench, "alarms_per_s")


async def rate_postgres(bench: Bench) -> None:
    """Measure the same where the gateway's database is a PostgreSQL server."""
    await _rate(bench, "alarms_per_s_postgres")


async def _rate(bench: Bench, key: str) -> None:
    count = bench.options.size(20_000, 1000)
    await bench.commits.ask("rest", rest=True)  # receipts are counted here, and two cores have no room for onlookers
    told = await bench.load.ask("burst", name=BOX, count=count, kind="rate", within_s=120)
    await bench.commits.ask("rest", rest=False)
    bench.figures.put(key, count / (told["ended"] - told["began"]), count)
    bench.figures.put(key.replace("alarms_", "alarms_spooled_"), count / (told["put"] - told["began"]), count)


async def latency(bench: Bench) -> None:
    """Measure edge commit to gateway commit at 100/s."""
    told = await bench.steady("commit", [BOX], 100, bench.options.size(30, 2), [3])
    found = await bench.latencies_ms("320600", "commit", told)
    for key in ("alarm_commit_p50_ms", "alarm_commit_p99_ms"):
        bench.figures.ranked(key, found, ENOUGH)


async def drain(bench: Bench) -> None:
    """Measure how fast the backlog of an outage goes up, and how long what is new takes meanwhile."""
    count = bench.options.size(100_000, 2000)
    await bench.load.ask("unlink", name=BOX)
    bench.say(f"spooling {count} alarms without a link ...")
    await bench.load.ask("burst", name=BOX, count=count, kind="backlog", settle=False, within_s=300)
    linked = (await bench.load.ask("link", name=BOX))["at"]
    live: list[Any] = []

    async def go_on() -> None:
        while True:
            live.extend(await bench.steady("fresh", [BOX], 20, 1, [2, 3]))

    fresh = asyncio.ensure_future(go_on())
    try:
        drained = await bench.reached("320600", "backlog", count, DRAIN_LIMIT_S)
        if bench.options.quick:
            await asyncio.sleep(1.0)  # so that there is something live to tell of
    finally:
        fresh.cancel()
        await asyncio.gather(fresh, return_exceptions=True)
    bench.figures.put("drain_s" if bench.options.quick else "drain_100k_s", drained - linked, count)
    found = await bench.latencies_ms("320600", "fresh", live)
    bench.figures.ranked("live_p99_while_draining_s", [one / 1000 for one in found], ENOUGH)


async def recovery(bench: Bench) -> None:
    """Kill a gateway, and measure from its start to the first receipt that its agent has."""
    tier, found = bench.tiers.tiers["320600"], []
    for _ in range(bench.options.size(5, 1)):
        await tier.program.kill()
        waiting = asyncio.ensure_future(bench.load.ask("first_receipt", name=BOX, within_s=120))
        await asyncio.sleep(1.0)
        began = time.monotonic()
        await tier.program.start()
        found.append((await waiting)["at"] - began)
    bench.figures.put("gateway_first_receipt_max_s", max(found), len(found))


async def four_tiers(bench: Bench) -> None:
    """Measure from the edge commit at the county to each tier's commit, at a steady 100/s."""
    told = await bench.steady("four", [COUNTY_BOX], 100, bench.options.size(60, 2), [3])
    for code, name in (("320623", "county"), ("320600", "city"), ("320000", "province"), ("000000", "four_tiers")):
        found = await bench.latencies_ms(code, "four", told)
        for key in (f"alarm_{name}_p50_ms", f"alarm_{name}_p99_ms"):
            bench.figures.ranked(key, found, ENOUGH)


Scenario = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Gateways that run together, and what is measured on them in order."""

    parents: Mapping[str, str | None]
    nodes: Mapping[str, str]
    scenarios: Mapping[str, Scenario]
    postgres: bool = False
    """Whether the city's database is a PostgreSQL server of the run's own; then no onlooker reads it."""


def _stages() -> tuple[Stage, ...]:
    from gateway.bench.storm import storm

    one = {"rate": rate, "latency": latency, "drain": drain, "recovery": recovery}
    four = {"four": four_tiers, "storm": storm}
    return (
        Stage(ONE, {BOX: "320600"}, one),
        Stage(ONE, {BOX: "320600"}, {"rate_postgres": rate_postgres}, postgres=True),
        Stage(FOUR, {**CITY_BOXES, COUNTY_BOX: "320623"}, four),
    )


REACHES = (
    Reach("alarms_per_s", 5000, at_least=True),
    Reach("alarm_commit_p50_ms", 5),
    Reach("alarm_commit_p99_ms", 25),
    Reach("alarm_four_tiers_p99_ms", 250),
    Reach("drain_100k_s", 30),
    Reach("live_p99_while_draining_s", 1),
    Reach("gateway_first_receipt_max_s", 2),
    Reach("storm_screen_p95_s", 2),
    Reach("storm_groups_max", 40),
    Reach("storm_red_lost", 0),
    Reach("storm_red_delayed", 0),
    Reach("storm_rss_growth_mb", 24),
)
"""Figures of the contract (design, numbers) and of the alarm plane's storm."""


async def measure(options: Options, say: Callable[[str], None]) -> tuple[Figures, list[str]]:
    """Run the scenarios asked for; returns figures and what failed. Raises ConfigError for an unknown name."""
    stages = _stages()
    known = [name for stage in stages for name in stage.scenarios]
    if unknown := [name for name in options.only if name not in known]:
        raise ConfigError(f"no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    figures, failed, began = Figures(), [], time.monotonic()
    figures.put("commit", commit())
    figures.put("machine", machine())
    figures.put("seed", options.seed)
    figures.put("quick", options.quick)
    figures.put("load_average_before", os.getloadavg()[0])
    for stage in stages:
        wanted = {name: run for name, run in stage.scenarios.items() if not options.only or name in options.only}
        if wanted:
            failed += await _play(stage, wanted, options, figures, say)
    figures.put("load_average_after", os.getloadavg()[0])
    figures.put("duration_s", round(time.monotonic() - began, 1))
    figures.put("failed", "; ".join(failed))
    return figures, failed if options.quick else failed + figures.missed(REACHES)


async def _play(
    stage: Stage, wanted: Mapping[str, Scenario], options: Options, figures: Figures, say: Callable[[str], None]
) -> list[str]:
    failed = []
    try:
        async with _opened(stage, options, figures, say) as bench:
            for name, scenario in wanted.items():
                say(f"{name} ...")
                try:
                    await scenario(bench)
                except LinkError as error:
                    failed.append(f"{name}: {error}")
                    say(failed[-1])
    except LinkError as error:
        failed.append(f"{len(stage.parents)} gateways: {error}")
        say(failed[-1])
    except ConfigError as error:
        if not stage.postgres:
            raise
        figures.note(f"not measured on PostgreSQL: {error}")
    return failed


@contextlib.asynccontextmanager
async def _opened(stage: Stage, options: Options, figures: Figures, say: Callable[[str], None]) -> AsyncIterator[Bench]:
    folder = options.folder / f"alarms-{len(stage.parents)}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"starting {len(stage.parents)} gateway(s) ...")
    async with (
        _stores(stage) as stores,
        running(folder, stage.parents, stage.nodes, adjust=stores) as tiers,
        child("alarm-load", "gateway.bench.alarm_load", (), folder, "load") as load,
        child("commits", "gateway.bench.commits", (), folder, "load") as commits,
    ):
        for code, tier in tiers.tiers.items() if not stage.postgres else ():
            await commits.ask("watch", code=code, path=str(tier.database))
        bench = Bench(options, figures, say, tiers, load, commits, folder)
        await bench.join(list(stage.nodes))
        yield bench


@contextlib.asynccontextmanager
async def _stores(stage: Stage) -> AsyncIterator[Mapping[str, Mapping[str, Any]]]:
    """Run the database of a stage that has one; yields the settings that lead to it. Raises ConfigError."""
    if not stage.postgres:
        yield {}
        return
    database = Database()
    try:
        await database.prepare()
        await database.start()
        yield {"320600": {"store": {"url": database.url}}}
    finally:
        await database.remove()


def table(figures: Figures) -> str:
    """Return the figures as text."""
    lines = []
    for key, value in figures.values.items():
        if not key.startswith("samples_") and value not in ("", None):
            samples = figures.values.get(f"samples_{key}")
            lines.append(f"{key:<36} {value}" + (f"  ({samples} samples)" if samples is not None else ""))
    return "\n".join(lines + [f"note: {note}" for note in figures.notes])


def write_json(figures: Figures, path: Path) -> None:
    """Write the flat object."""
    path.write_text(json.dumps(figures.document(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
