"""The stage of the chaos run: gateways as real processes, agents in processes, and a hand that kills them.

Everything is killed with SIGKILL by process id and started again after a pause. The verdict is read from files alone:
what the sensors remember (`accepted.log`), and each tier's database.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import sys
from dataclasses import dataclass, field
from pathlib import Path

from gateway.provision import Wish, provision
from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that are free now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass
class Process:
    """A program that is started again whenever it was killed."""

    name: str
    command: list[str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    kills: int = 0

    async def start(self) -> None:
        """Start it."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*self.command, stdout=log, stderr=log, env=environment)

    async def kill(self) -> None:
        """Kill it with -9 and wait until it is gone."""
        assert self.process is not None
        assert self.process.returncode is None, f"{self.name} had ended by itself; see {self.log}"
        self.process.kill()
        await self.process.wait()
        self.kills += 1

    async def stop(self) -> None:
        """End it with SIGTERM, after a time with SIGKILL."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(20):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@dataclass
class Tier:
    """One gateway of the stage."""

    code: str
    settings: Settings
    process: Process
    broker_kills: int = 0

    @property
    def database(self) -> Path:
        """Its database file."""
        return self.settings.state.dir / "gateway.db"

    def kill_broker(self) -> bool:
        """Kill its broker with -9; False while there is none."""
        try:
            pid = int((self.settings.state.dir / "broker" / "pid").read_text())
            os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            return False
        self.broker_kills += 1
        return True


@dataclass
class Stage:
    """All processes of one run."""

    directory: Path
    tiers: list[Tier] = field(default_factory=list)
    agents: list[Process] = field(default_factory=list)
    nodes: dict[str, Path] = field(default_factory=dict)

    async def __aenter__(self) -> "Stage":
        for one in (*(tier.process for tier in self.tiers), *self.agents):
            await one.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        processes = [*self.agents, *(tier.process for tier in self.tiers)]
        await asyncio.gather(*(one.stop() for one in processes))

    def accepted(self, node: str) -> list[tuple[str, int, str, bool]]:
        """Return (event id, origin counter, key, raised) of what the node's sensors were promised."""
        log = self.nodes[node] / "accepted.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(i, int(counter), key, raised == "1") for i, counter, key, raised in (line.split() for line in lines)]

    def done(self) -> bool:
        """Tell whether every node has produced its share."""
        return all((folder / "done").exists() for folder in self.nodes.values())

    async def kill_at_random(self, kills: int, chance: random.Random, pause: tuple[float, float]) -> None:
        """Kill agents, gateways and brokers in turn of chance; each is up again a moment later."""
        while kills > 0:
            await asyncio.sleep(chance.uniform(*pause))
            kind = chance.choice(("gateway", "broker", "agent"))
            if kind == "broker":
                kills -= chance.choice(self.tiers).kill_broker()
                continue
            victim = chance.choice(self.tiers).process if kind == "gateway" else chance.choice(self.agents)
            await victim.kill()
            kills -= 1
            await asyncio.sleep(chance.uniform(0, 0.5))
            await victim.start()

    def kills(self) -> int:
        """Return the number of kills so far."""
        tiers = sum(tier.process.kills + tier.broker_kills for tier in self.tiers)
        return tiers + sum(agent.kills for agent in self.agents)


async def build(directory: Path, parents: dict[str, str | None], plan: list[dict[str, object]], hosts: int) -> Stage:
    """Provision tiers (code -> code above, top first) and nodes (`name`, `below`) over `hosts` processes."""
    stage = Stage(directory)
    tokens: dict[str, str] = {}
    urls: dict[str, str] = {}
    for code, parent in parents.items():
        below = [c for c, p in parents.items() if p == code] + [str(n["name"]) for n in plan if n["below"] == code]
        settings = _settings(directory, code, urls.get(parent or ""), tokens.get(code))
        urls[code] = settings.base_url
        tokens |= (await provision(settings, Wish(nodes=tuple(below)))).tokens
        stage.tiers.append(Tier(code, settings, _gateway(directory, settings)))
    shares: list[list[dict[str, object]]] = [[] for _ in range(hosts)]
    for number, node in enumerate(plan):
        name, folder = str(node["name"]), directory / str(node["name"])
        stage.nodes[name] = folder
        access = {"url": urls[str(node["below"])], "token": tokens[name], "dir": str(folder)}
        shares[number % hosts].append(node | access)
    for number, share in enumerate(shares):
        file = directory / f"agents{number}.json"
        file.write_text(json.dumps(share))
        command = [sys.executable, "-m", "tests.support.chaos_agent", str(file)]
        stage.agents.append(Process(f"agents{number}", command, directory / f"agents{number}.log"))
    return stage


def _settings(directory: Path, code: str, url: str | None, token: str | None) -> Settings:
    http, management, broker, media = free_ports(4)
    upstream = {"url": url, "token": token} if url else {}
    return Settings.model_validate(
        {
            "centre": {"code": code},
            "state": {"dir": str(directory / code)},
            "http": {"port": http},
            "management": {"port": management},
            "broker": {"port": broker},
            "media": {"port": media},
            "upstream": upstream,
        }
    )


def _gateway(directory: Path, settings: Settings) -> Process:
    code = settings.centre.code
    file = directory / f"{code}.toml"
    sections = settings.model_dump(mode="json", exclude_unset=True)
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "gateway", "serve", "-c", str(file)]
    return Process(code, command, directory / f"{code}.log")


def read(database: Path, sql: str) -> list[tuple[object, ...]]:
    """Read a tier's database without disturbing it."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()
