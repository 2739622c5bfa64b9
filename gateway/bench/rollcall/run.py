"""One run of the roll-call bench: build, link everybody, call the roll, let things happen, judge."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.bench import namespace
from gateway.bench.chaos import faults
from gateway.bench.figures import Figures, Reach
from gateway.bench.processes import machine
from gateway.bench.rollcall.films import shoot
from gateway.bench.rollcall.plan import CITY, County, Plan, plan, table
from gateway.bench.rollcall.verdict import Judged, judge
from gateway.bench.run import commit
from gateway.bench.tiers import Program, Tier, Tiers, build, free_ports
from protocols.errors import LinkError
from protocols.rollcall import FINAL, PointState

HOSTS = 4
LINK_UP_S = 240.0
PRESENCE_S, MAKEUP_S = 60.0, 10.0
FAULT_AFTER_S = 4.0
CUT_S = PRESENCE_S + 45.0
"""Until the call is over, also for a county of its second half: one that is back sooner rightly passes late."""
LATE_AFTER_S = 20.0
REVISED_S = 90.0
OVER_S = 400.0
VERDICTS = FINAL | {PointState.NO_ANSWER, PointState.LINK_LOST, PointState.MAKEUP}
"""A round has ended so; whoever is not there may be asked again."""
LOOK_S, SAY_S = 1.0, 2.0
ALONE = frozenset({"power", "late", "cut"})
ENDED = ("reviewing", "partial", "cancelled")
REACHES = (
    Reach("rollcall_100_s", 30.0),
    Reach("rollcall_false_present", 0.0),
    Reach("rollcall_false_frozen", 0.0),
    Reach("rollcall_wrong_cause", 0.0),
    Reach("rollcall_wrong_state", 0.0),
    Reach("rollcall_lost_for_platform", 0.0),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    folder: Path
    seed: int = 4
    counties: int = 100


@dataclass
class Stage:
    """Everything of one run."""

    folder: Path
    plan: Plan
    tiers: Tiers
    hosts: list[Program]
    ports: list[int]
    """Free ones; asked for all at once, as two askings may get the same."""
    alone: dict[str, Program] = field(default_factory=dict)
    """Counties with a process of their own, by code: those that are killed, cut off or come late."""

    @property
    def city(self) -> Tier:
        """The gateway that calls."""
        return self.tiers.tiers[CITY]


async def measure(options: Options, say: Callable[[str], None]) -> tuple[Figures, list[str]]:
    """Run; returns figures and what was found wrong. Raises ConfigError, LinkError where it cannot begin."""
    figures, began = Figures(), time.monotonic()
    figures.put("commit", commit())
    figures.put("machine", machine())
    figures.put("seed", options.seed)
    figures.put("load_average_before", os.getloadavg()[0])
    made = plan(options.counties, options.seed)
    say(f"films of {len(made.films)} cameras ...")
    films = await shoot(made.films, options.folder / "films")
    folder = options.folder / "rollcall"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stage = await _built(folder, made, films)
    try:
        await stage.tiers.start()
        linked = await _linked(stage, say)
        figures.put("link_up_s", linked)
        call, first = await _called(stage, say)
        judged = judge(call, first, made.counties)
    finally:
        await asyncio.gather(*(host.stop() for host in [*stage.hosts, *stage.alone.values()]))
        await stage.tiers.stop()
    _tell(judged, options, figures)
    figures.put("duration_s", round(time.monotonic() - began, 1))
    return figures, [*judged.wrong, *(figures.missed(REACHES) if options.counties >= 100 else [])]


async def _built(folder: Path, made: Plan, films: Mapping[str, Path]) -> Stage:
    (folder / "centres.csv").write_text(table(made), "utf-8")
    private = namespace.address() != namespace.LOOPBACK
    cuts = {county.code: f"127.0.1.{number}" for number, county in enumerate(made.of("cut"), 1)}
    if private:
        faults.prepare_network()
    ports = free_ports(2 * len(made.counties) + 4)
    http = ports.pop()
    everywhere = {"host": "0.0.0.0"} if private else {}  # noqa: S104 - in a namespace without a way out
    adjust = {
        CITY: {
            "centre": {"table": str(folder / "centres.csv")},
            "http": everywhere | {"behind_proxy": True, "public_url": f"http://127.0.0.1:{http}", "port": http},
            "broker": everywhere | {"names": ["127.0.0.1", *cuts.values()], "port": ports.pop()},
            "management": {"port": ports.pop()},
            "media": {"port": ports.pop()},
            # Only the waiting for those who are not there is shortened; all else is the default.
            "rollcall": {"presence_s": PRESENCE_S, "makeup_every_s": MAKEUP_S},
            "log": {"format": "json"},
        }
    }
    nodes = {county.node: CITY for county in made.counties}
    tiers = await build(folder, {CITY: None}, nodes, adjust=adjust)
    _silence(folder / "silence.wav")
    stage = Stage(folder, made, tiers, [], ports)
    shared: list[list[str]] = [[] for _ in range(HOSTS)]
    for number, county in enumerate(made.counties):
        file = _agent_file(stage, county, films[county.film], cuts.get(county.code) if private else None)
        if county.story.fault in ALONE:
            stage.alone[county.code] = _host(folder, county.node, [str(file)])
        else:
            shared[number % HOSTS].append(str(file))
    stage.hosts = [_host(folder, f"host{number}", files) for number, files in enumerate(shared) if files]
    return stage


def _host(folder: Path, name: str, files: Sequence[str]) -> Program:
    return Program(name, [sys.executable, "-m", "edge_agent.host", *files], folder / f"{name}.log")


def _agent_file(stage: Stage, county: County, film: Path, line: str | None) -> Path:
    state, given = stage.folder / county.node, stage.tiers.passes[county.node]
    state.mkdir()
    if county.story.fault == "power":
        _on_battery(state / "sys")
    camera = {"name": "room", "title": "指挥大厅", "kind": "file", "path": str(film)}
    camera |= {"audio": {"none": "none", "tone": "tone", "silence": "input"}[county.story.sound]}
    link = {"url": given.url, "enrolment_token": given.token}
    if line is not None:
        link |= {
            "url": given.url.replace(namespace.LOOPBACK, line),
            "broker": f"{line}:{stage.city.settings.broker.port}",
        }
    sections: dict[str, dict[str, Any]] = {
        "node": {"id": county.node},
        "gateway": link,
        "state": {"dir": str(state), "quota_mb": 16, "ballast_mb": 1},
        "management": {"port": stage.ports.pop()},
        "answer_page": {"enabled": county.story.policy == "ring", "port": stage.ports.pop()},
        "answer": {"policy": county.story.policy, "announce": "none"},
        "audio": {"input": f"file:{stage.folder / 'silence.wav'}"},
    }
    file = stage.folder / f"{county.node}.toml"
    file.write_text(_toml(sections) + "[[cameras]]\n" + _keys(camera), "utf-8")
    return file


def _toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    return "".join(f"[{name}]\n{_keys(keys)}" for name, keys in sections.items())


def _keys(values: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


def _on_battery(folder: Path) -> None:
    """Give a county a supply whose mains are gone and whose battery is nearly empty."""
    for name, file, text in (("mains", "online", "0"), ("battery", "capacity", "6")):
        place = folder / "class" / "power_supply" / name
        place.mkdir(parents=True)
        (place / file).write_text(text)


def _silence(file: Path) -> None:
    """Write two seconds of nothing at 48 kHz, as a dead microphone gives it."""
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48_000)
        sound.writeframes(bytes(2 * 2 * 48_000))


async def _linked(stage: Stage, say: Callable[[str], None]) -> float:
    """Start the counties and wait until all but the late ones are linked and known with their cameras."""
    began = time.monotonic()
    late = {county.code for county in stage.plan.of("late")}
    wanted = {county.node for county in stage.plan.counties if county.code not in late}
    await asyncio.gather(*(host.start() for host in stage.hosts))
    await asyncio.gather(*(host.start() for code, host in stage.alone.items() if code not in late))
    missing = set(wanted)
    while time.monotonic() - began < LINK_UP_S:
        missing = wanted - await _known(stage.city)
        if not missing:
            return round(time.monotonic() - began, 1)
        _all_run(stage.hosts)
        say(f"{len(wanted) - len(missing)} of {len(wanted)} counties are linked ...")
        await asyncio.sleep(3.0)
    first = min(missing)
    raise LinkError(f"{len(missing)} counties did not link within {LINK_UP_S:g} s, {first} first; see {stage.folder}")


def _all_run(hosts: Sequence[Program]) -> None:
    for host in hosts:
        if host.process is not None and host.process.returncode is not None:
            raise LinkError(f"{host.name} ended by itself ({host.process.returncode}); see {host.log}")


async def _known(city: Tier) -> set[str]:
    """Return the nodes that are linked and have told of their camera."""
    links = (await city.get("/api/v1/links"))["items"]
    cameras = await city.get("/api/v1/cameras")
    rows = cameras["items"] if isinstance(cameras, dict) else cameras
    seen = {f"{one['id'].partition('/')[0]}-box" for one in rows}
    return seen & {link["node"] for link in links if link["status"] == "up"}


async def _called(stage: Stage, say: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, float]]:
    """Call the roll and let things happen to the counties.

    Returns the call once its causes had time to be revised, and when each county had its first verdict (seconds since
    the start, up to `LOOK_S` too many).
    """
    excused = {county.code: "停电检修，已报批" for county in stage.plan.of("excused")}
    call = await stage.city.call("POST", "/api/v1/roll-calls", {"excused": excused})
    say(f"roll call of {len(stage.plan.counties)} counties ...")
    happening = [
        *(_lose_power(stage.alone[county.code]) for county in stage.plan.of("power")),
        *(_come_late(stage.alone[county.code]) for county in stage.plan.of("late")),
    ]
    if namespace.address() != namespace.LOOPBACK:
        cuts = enumerate(stage.plan.of("cut"), 1)
        happening += [_cut(stage.alone[county.code], f"127.0.1.{number}") for number, county in cuts]
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(happening):
            group.create_task(one, name=f"happening {number}")
        ended, first = await _over(stage, call["id"], say)
    return await _revised(stage, ended), first


async def _lose_power(host: Program) -> None:
    await asyncio.sleep(FAULT_AFTER_S)
    await host.kill()


async def _come_late(host: Program) -> None:
    await asyncio.sleep(LATE_AFTER_S)
    await host.start()


async def _cut(host: Program, address: str) -> None:
    """Cut one county off while it is looked at, signalling and pictures; its line is whole again after the call."""
    await asyncio.sleep(FAULT_AFTER_S)
    with contextlib.ExitStack() as line:
        line.enter_context(faults.cut(address))
        gone, until = set[int](), time.monotonic() + CUT_S
        while time.monotonic() < until:  # the agent tries again and again, from a new port each time
            for port in set(faults.udp_ports(host.pid or 0)) - gone:
                line.enter_context(faults.cut_port(port))
                gone.add(port)
            await asyncio.sleep(0.1)


async def _over(stage: Stage, id_: str, say: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, float]]:
    began, told, first = time.monotonic(), 0.0, dict[str, float]()
    while (since := time.monotonic() - began) < OVER_S:
        call: dict[str, Any] = await stage.city.get(f"/api/v1/roll-calls/{id_}")
        for point in call["points"]:
            if PointState(point["state"]) in VERDICTS:
                first.setdefault(point["centre"], round(time.monotonic() - began, 1))
        if call["state"] in ENDED:
            return call, first
        if since - told >= SAY_S:
            told = since
            say(f"{call['present']} present, {call['absent']} not, {call['open']} open ...")
        await asyncio.sleep(LOOK_S)
    raise LinkError(f"the roll call did not end within {OVER_S:g} s; see {stage.city.program.log}")


async def _revised(stage: Stage, call: dict[str, Any]) -> dict[str, Any]:
    """Wait until the counties that were cut off have told what happened to them, as long as that may take."""
    deadline = time.monotonic() + REVISED_S
    waits = {county.code for county in stage.plan.of("cut")}
    while waits and time.monotonic() < deadline:
        call = await stage.city.get(f"/api/v1/roll-calls/{call['id']}")
        waits -= {point["centre"] for point in call["points"] if point["cause"] == "line"}
        await asyncio.sleep(2.0)
    return call


def _tell(judged: Judged, options: Options, figures: Figures) -> None:
    name = "rollcall_100_s" if options.counties == 100 else "rollcall_s"
    figures.put("rollcall_counties", options.counties)
    figures.put(name, judged.reachable_s)
    figures.put("rollcall_unasked_s", judged.unasked_s)
    figures.put("rollcall_all_s", judged.all_s)
    figures.put("rollcall_false_present", judged.false_present)
    figures.put("rollcall_false_frozen", judged.false_frozen)
    figures.put("rollcall_wrong_cause", judged.wrong_cause)
    figures.put("rollcall_wrong_state", judged.wrong_state)
    figures.put("rollcall_lost_for_platform", judged.lost_for_platform)
    figures.put("rollcall_states", json.dumps(judged.states, sort_keys=True))
    figures.put("load_average_after", os.getloadavg()[0])
    figures.note(f"profile: default, but presence_s {PRESENCE_S:g} and makeup_every_s {MAKEUP_S:g}")
    if namespace.address() == namespace.LOOPBACK:
        figures.note("no private network here: no line was cut")
