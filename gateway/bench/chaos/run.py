"""One run of the chaos bench: build, break, heal, wait until everything has arrived, judge."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateway.bench import namespace
from gateway.bench.chaos import clock, faults, nodes
from gateway.bench.chaos.database import Database
from gateway.bench.chaos.lines import Relay
from gateway.bench.chaos.reading import Reader
from gateway.bench.chaos.verdict import ABOVE, CITY, FIRST, SECOND, Finding, Promise, Promised, View, judge
from gateway.bench.figures import Figures
from gateway.bench.processes import machine
from gateway.bench.run import commit
from gateway.bench.tiers import Program, Tiers, build
from protocols.errors import LinkError

PARENTS: Mapping[str, str | None] = {"000000": None, "320000": "000000", "320600": "320000", "320623": "320600"}
NODES = {
    **{f"{county}-box": CITY for county in ("320612", "320613", "320614", "320681", "320682", "320685")},
    "320623-box": "320623",
}
CRAMPED, CRAMPED_FIRST = "320685-box", 1400
"""Its spool is too small for what it is asked to keep before its first contact: repeats must fold."""
ON_SMALL_DISKS = ("320612-box", "320613-box", "320623")
DISK_MB = 64
HOSTS = 3
DATABASE_SHARE = 2
"""How many lots the database has among eleven: its restart is the quickest."""
SETTLE_S = 240.0
QUIET_S = 30.0
"""Where nothing has arrived for so long, nothing will: resending is a matter of seconds, a chain of eight."""
CLOCKED = (sys.executable, "-m", "gateway.bench.chaos.clocked")
RING = ["sound"]


def _step(after_s: int, role: str) -> dict[str, Any]:
    return {"after_s": after_s, "targets": [{"role": role, "channels": RING}]}


CHAIN = {
    "own": {"1": {"steps": [_step(0, FIRST), _step(5, SECOND), {"after_s": 8, "upward": True}]}},
    "handed": {"1": {"steps": [_step(0, ABOVE)]}},
}
"""Only red alarms are told of, so that each timer of the run is known."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `serve` is the gateway's program: a test puts one there that breaks a rule."""

    folder: Path
    seed: int
    seconds: float
    serve: Sequence[str] = CLOCKED
    settle_s: float = SETTLE_S
    postgres: bool = False
    """The city's database is a PostgreSQL server, which is killed like everything else."""


@dataclass
class Stage:
    """Everything of one run."""

    folder: Path
    tiers: Tiers
    hosts: list[Program]
    ground: faults.Field
    readers: dict[str, Reader] = field(default_factory=dict)

    @property
    def until(self) -> Path:
        """The file that ends the nodes' production."""
        return self.folder / "enough"

    def promised(self) -> list[Promised]:
        """Return what the sensors were promised so far."""
        found = []
        for number, name in enumerate(NODES):
            log = self.folder / "memory" / name / "accepted.log"
            lines = log.read_text().splitlines() if log.exists() else []
            host = self.hosts[number % HOSTS]
            spare = nodes.BATCH * (host.kills + self.ground.counts["ended_full"] + 1)
            below = ("320623",) if name.startswith("320623") else ()
            promises = [Promise.read(line) for line in lines]
            found.append(Promised(name, below, promises, folds=name == CRAMPED, spare=spare))
        return found

    def done(self) -> bool:
        """Tell whether every node has produced its share."""
        return all((self.folder / "memory" / name / "done").exists() for name in NODES)


async def measure(options: Options, say: Callable[[str], None]) -> tuple[Figures, list[str]]:
    """Run; returns figures and what was found wrong. Raises ConfigError, LinkError where it cannot begin."""
    figures, began = Figures(), time.monotonic()
    figures.put("commit", commit())
    figures.put("machine", machine())
    figures.put("seed", options.seed)
    figures.put("load_average_before", os.getloadavg()[0])
    async with _opened(options, figures, say) as stage:
        say(f"faults for {options.seconds:g} s ...")
        ordeal = faults.Ordeal(stage.ground, random.Random(options.seed))  # noqa: S311 - a seed that can be repeated
        await ordeal.run(options.seconds)
        stage.until.touch()
        say("waiting until everything has arrived ...")
        took = await _settle(stage, ordeal, options.settle_s)
        try:
            findings = await _judge(stage)
        except LinkError as error:
            stage.ground.crashes.append(f"no verdict: {error}")
            findings = {}
        wrong = _tell(stage, findings, figures)
        figures.put("chaos_settle_s", took)
    figures.put("duration_s", round(time.monotonic() - began, 1))
    return figures, wrong


@contextlib.asynccontextmanager
async def _opened(options: Options, figures: Figures, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    folder = options.folder / "chaos"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    private = namespace.address() != namespace.LOOPBACK
    if private:
        faults.prepare_network()
    else:
        figures.note("no private network here: links were cut by relays, no disk was filled")
    disks = [_small_disk(folder / name) for name in ON_SMALL_DISKS] if private else []
    async with contextlib.AsyncExitStack() as stack:
        relays = {} if private else {name: await stack.enter_async_context(Relay()) for name in _ends()}
        database = await _database(stack) if options.postgres else None
        stage = await _built(options, folder, disks, relays, database)
        async with _started(stage, disks, say):
            yield stage
    if database is not None:
        figures.put("chaos_database_kills", database.kills)


def _ends() -> list[str]:
    """Return the lower ends of all links."""
    return [*NODES, *list(PARENTS)[1:]]


async def _database(stack: contextlib.AsyncExitStack) -> Database:
    database = Database()
    stack.push_async_callback(database.remove)
    await database.prepare()
    await database.start()
    return database


@contextlib.asynccontextmanager
async def _started(stage: Stage, disks: Sequence[Path], say: Callable[[str], None]) -> AsyncIterator[None]:
    try:
        say("starting four gateways ...")
        await stage.tiers.start()
        for tier in stage.tiers.tiers.values():
            await tier.call("PUT", "/api/v1/escalation/chain", {"base": 0, "chain": CHAIN})
            stage.readers[tier.code] = Reader(tier)
        for host in stage.hosts:
            await host.start()
        yield
    finally:
        await asyncio.gather(*(host.stop() for host in stage.hosts))
        await stage.tiers.stop()
        for disk in disks:
            _run("umount", "-l", str(disk))


async def _built(
    options: Options, folder: Path, disks: Sequence[Path], relays: Mapping[str, Relay], database: Database | None
) -> Stage:
    addresses = {name: f"127.0.1.{number}" for number, name in enumerate(_ends(), 1)}
    clocks = {name: folder / f"{name}.clock" for name in (*PARENTS, *(f"nodes{n}" for n in range(HOSTS)))}
    for file in clocks.values():
        clock.step(file, 0.0)
    broker = {} if relays else {"broker": {"host": "0.0.0.0", "names": ["127.0.0.1", *addresses.values()]}}  # noqa: S104 - in a namespace without a way out
    adjust: dict[str, dict[str, Any]] = {code: dict(broker) for code in PARENTS}
    if database is not None:
        adjust[CITY]["store"] = {"url": database.url}
    tiers = await build(folder, PARENTS, NODES, serve=options.serve, adjust=adjust)
    brokers = {code: tier.settings.broker.port for code, tier in tiers.tiers.items()}
    above = {name: code for name, code in {**NODES, **PARENTS}.items() if code is not None}
    doors = {name: (address, brokers[above[name]]) for name, address in addresses.items()}
    for name, relay in relays.items():
        relay.target, doors[name] = doors[name][1], ("127.0.0.1", relay.port)
    for code, tier in tiers.tiers.items():
        tier.program.environment = {clock.VARIABLE: str(clocks[code])}
        if code in doors:
            tiers.lead(code, ":".join(map(str, doors[code])))
    hosts = _hosts(folder, tiers, doors, clocks)
    gateways = [tier.program for tier in tiers.tiers.values()]
    programs = [*gateways, *hosts]
    victims: list[faults.Victim] = [faults.ProgramVictim(program, "gateway") for program in gateways]
    victims += [faults.ProgramVictim(program, "agents") for program in hosts]
    victims += [faults.BrokerVictim(tier) for tier in tiers.tiers.values()]
    victims += [database] * DATABASE_SHARE if database is not None else []
    cuts = [relay.cut for relay in relays.values()] or [partial(faults.cut, one) for one in addresses.values()]
    ground = faults.Field(programs, list(tiers.tiers.values()), victims, list(clocks.values()), cuts, disks)
    return Stage(folder, tiers, hosts, ground)


def _hosts(
    folder: Path, tiers: Tiers, doors: Mapping[str, tuple[str, int]], clocks: Mapping[str, Path]
) -> list[Program]:
    shares: list[list[dict[str, Any]]] = [[] for _ in range(HOSTS)]
    for number, name in enumerate(NODES):
        given = tiers.passes[name]
        cramped = name == CRAMPED
        plan = nodes.NodePlan(
            name=name,
            home=folder / name,
            memory=folder / "memory" / name,
            until=folder / "enough",
            url=given.url,
            token=given.token,
            broker=doors[name],
            quota=(512 if cramped else 262_144) * 1024,
            first=CRAMPED_FIRST if cramped else 0,
        )
        shares[number % HOSTS].append(plan.model_dump(mode="json"))
    hosts = []
    for number, share in enumerate(shares):
        name, file = f"nodes{number}", folder / f"nodes{number}.json"
        file.write_text(json.dumps(share))
        command = [sys.executable, "-m", "gateway.bench.chaos.nodes", str(file)]
        hosts.append(Program(name, command, folder / f"{name}.log", {clock.VARIABLE: str(clocks[name])}))
    return hosts


async def _settle(stage: Stage, ordeal: faults.Ordeal, within_s: float) -> float:
    """Wait until every tier shows all that was promised, or the time is over: then the verdict says what lacks."""
    began = moved = time.monotonic()
    held = -1
    while time.monotonic() - began < within_s and time.monotonic() - moved < QUIET_S:
        await ordeal.restart_ended()
        with contextlib.suppress(LinkError):
            for reader in stage.readers.values():
                await reader.read_on()
            if stage.done() and not any(f.sentences() for f in (await _judge(stage)).values()):
                break
            if (now := sum(reader.size for reader in stage.readers.values())) != held:
                held, moved = now, time.monotonic()
        await asyncio.sleep(1.0)
    return time.monotonic() - began


async def _judge(stage: Stage) -> dict[str, Finding]:
    promised = stage.promised()
    findings: dict[str, Finding] = {}
    below: View | None = None
    for code in reversed(list(PARENTS)):
        view = await stage.readers[code].view()
        mine = [one for one in promised if code != "320623" or code in one.below]
        findings[code] = judge(view, mine, below)
        below = view
    return findings


def _tell(stage: Stage, findings: Mapping[str, Finding], figures: Figures) -> list[str]:
    counts = stage.ground.counts
    for name in ("kills", "pauses", "cuts", "full_disks", "clock_steps"):
        figures.put(f"chaos_{name}", counts[name])
    figures.put("chaos_promised", sum(len(one.promises) for one in stage.promised()))
    figures.put("chaos_red_chains", sum(len(reader.courses) for reader in stage.readers.values()))
    for name in ("lost", "doubled", "gaps", "out_of_order", "timers"):
        figures.put(f"chaos_{name}", sum(len(getattr(finding, name)) for finding in findings.values()))
    folded = stage.readers["000000"].events_of(CRAMPED)
    figures.put("chaos_folded", CRAMPED_FIRST - folded)
    wrong = [sentence for finding in findings.values() for sentence in finding.sentences()]
    figures.put("failed", "; ".join([*stage.ground.crashes, *wrong][:20]))
    return [*stage.ground.crashes, *wrong]


def _small_disk(folder: Path) -> Path:
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(folder))
    return folder


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the run's own commands
