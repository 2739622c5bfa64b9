"""Gateways as real processes for a run: provisioned, started, killed and started again; read through their API.

They are the commands that an operator starts (`provision`, `serve`), on ports of their own and with a state directory
each. Everything ends with the run: children ask the kernel to be killed with their parent.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.adapters.media_embedded.lineage import die_with_parent
from gateway.settings import Settings
from protocols.errors import ConfigError, LinkError

if TYPE_CHECKING:
    import httpx

ACCOUNT, PASSWORD = "bench", "m3asures-of-one-run"
SERVE = (sys.executable, "-m", "gateway")
READY_S = 90.0
FAREWELL_S = 20.0
FIRST_PORT, LAST_PORT = 12_000, 30_000
"""Below the ports that the kernel hands out by itself: a gateway that was killed finds its own free again."""


@dataclass
class Program:
    """A program that may be killed and started again."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    kills: int = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.process.pid if self.process is not None and self.process.returncode is None else None

    async def start(self) -> None:
        """Start it, in the background of nobody's terminal."""
        parent = os.getpid()
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),
            )

    async def kill(self) -> None:
        """Kill it with -9 and wait until it is gone; raises LinkError where it had ended by itself."""
        if self.process is None or self.process.returncode is not None:
            raise LinkError(f"{self.name} ended by itself; see {self.log}")
        self.process.kill()
        await self.process.wait()
        self.kills += 1

    async def stop(self) -> None:
        """End it with SIGTERM, after a time with SIGKILL."""
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class Tier:
    """One gateway of the run."""

    def __init__(self, settings: Settings, program: Program) -> None:
        self.code = settings.centre.code
        self.settings = settings
        self.program = program
        self.broker_kills = 0
        self._http: httpx.AsyncClient | None = None

    @property
    def database(self) -> Path:
        """Its database file."""
        return self.settings.database

    def broker_pid(self) -> int | None:
        """Process id of its broker, None while there is none."""
        try:
            pid = int((self.settings.state.dir / "broker" / "pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def kill_broker(self) -> bool:
        """Kill its broker with -9; False while there is none."""
        pid = self.broker_pid()
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.broker_kills += 1
            return True
        return False

    async def ready(self) -> None:
        """Wait until all of its parts work; raises LinkError naming its log."""
        import httpx

        url = f"http://127.0.0.1:{self.settings.management.port}/healthz"
        try:
            async with asyncio.timeout(READY_S), httpx.AsyncClient(trust_env=False) as client:
                while not await self._answers(client, url):
                    if self.program.pid is None:
                        raise LinkError(f"{self.code} ended while it started; see {self.program.log}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise LinkError(f"{self.code} was not ready within {READY_S:g} s; see {self.program.log}") from None

    async def _answers(self, client: "httpx.AsyncClient", management: str) -> bool:
        import httpx

        with contextlib.suppress(httpx.HTTPError):
            if (await client.get(management, timeout=5.0)).status_code == 200:
                return (await client.get(f"{self.settings.base_url}/readyz", timeout=5.0)).status_code == 200
        return False

    def http(self) -> "httpx.AsyncClient":
        """Return the client of its API; log in with `log_in` first."""
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(base_url=self.settings.base_url, trust_env=False, timeout=30.0)
        return self._http

    async def log_in(self) -> None:
        """Log the run's own account in; raises LinkError."""
        answer = await self.http().post("/api/v1/session", json={"username": ACCOUNT, "password": PASSWORD})
        if answer.status_code != 200:
            raise LinkError(f"{self.code}: log-in answered {answer.status_code} {answer.text[:200]}")
        self.http().headers["authorization"] = f"Bearer {answer.json()['token']}"

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET; raises LinkError."""
        return await self.call("GET", path)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of an answer; logs in where it must. Raises LinkError for all but success."""
        import httpx

        try:
            if "authorization" not in self.http().headers:
                await self.log_in()
            answer = await self.http().request(method, path, json=body)
            if answer.status_code == 401:
                await self.log_in()
                answer = await self.http().request(method, path, json=body)
        except httpx.HTTPError as error:
            raise LinkError(f"{self.code} does not answer: {type(error).__name__} {error}") from None
        if not answer.is_success:
            raise LinkError(f"{self.code}: {method} {path} answered {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    async def metric(self, name: str) -> float:
        """Return the sum of a metric's samples; raises LinkError."""
        import httpx

        url = f"http://127.0.0.1:{self.settings.management.port}/metrics"
        try:
            text = (await self.http().get(url)).text
        except httpx.HTTPError as error:
            raise LinkError(f"{self.code} shows no metrics: {type(error).__name__}") from None
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    async def close(self) -> None:
        """Close the client of its API."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None


@dataclass(frozen=True, slots=True)
class Pass:
    """What a node needs to enrol."""

    node: str
    url: str
    token: str


@dataclass
class Tiers:
    """All gateways of a run, top first, and the passes of the nodes below them."""

    tiers: dict[str, Tier] = field(default_factory=dict)
    passes: dict[str, Pass] = field(default_factory=dict)

    def lead(self, code: str, broker: str) -> None:
        """Lead a gateway's uplink over another address of the upper broker; before its start."""
        tier = self.tiers[code]
        upstream = tier.settings.upstream.model_copy(update={"broker": broker})
        tier.settings = tier.settings.model_copy(update={"upstream": upstream})
        write_toml(Path(tier.program.command[-1]), tier.settings)

    async def start(self) -> None:
        """Start all and wait until they are ready: two at a time, top first, as small machines can bear."""
        for pair in _pairs(list(self.tiers.values())):
            await asyncio.gather(*(tier.program.start() for tier in pair))
            await asyncio.gather(*(tier.ready() for tier in pair))

    async def stop(self) -> None:
        """End all, lowest first."""
        for tier in self.tiers.values():
            await tier.close()
        await asyncio.gather(*(tier.program.stop() for tier in reversed(self.tiers.values())))


def _pairs(tiers: list[Tier]) -> list[list[Tier]]:
    return [tiers[at : at + 2] for at in range(0, len(tiers), 2)]


async def build(
    folder: Path,
    parents: Mapping[str, str | None],
    nodes: Mapping[str, str],
    *,
    serve: Sequence[str] = SERVE,
    environment: Mapping[str, str] | None = None,
    adjust: Mapping[str, Mapping[str, Any]] | None = None,
) -> Tiers:
    """Provision gateways (code -> code above, top first) and nodes (node -> its gateway); nothing runs yet.

    `adjust` adds keys to a gateway's settings, by code and section. Raises ConfigError.
    """
    made = Tiers()
    tokens: dict[str, str] = {}
    urls: dict[str, str] = {}
    for code, parent in parents.items():
        upstream = {"url": urls[parent], "token": tokens[code]} if parent else {}
        settings = _settings(folder, code, {"upstream": upstream}, (adjust or {}).get(code, {}))
        urls[code] = settings.base_url
        file = folder / f"{code}.toml"
        write_toml(file, settings)
        below = [c for c, above in parents.items() if above == code] + [
            n for n, above in nodes.items() if above == code
        ]
        tokens |= await _provision(file, below)
        command = [*serve, "serve", "-c", str(file)]
        program = Program(code, command, folder / f"{code}.log", environment or {})
        made.tiers[code] = Tier(settings, program)
    made.passes = {node: Pass(node, urls[code], tokens[node]) for node, code in nodes.items()}
    return made


@contextlib.asynccontextmanager
async def running(
    folder: Path, parents: Mapping[str, str | None], nodes: Mapping[str, str], **how: Any
) -> AsyncIterator[Tiers]:
    """Build and run gateways until the context ends."""
    made = await build(folder, parents, nodes, **how)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


def _settings(folder: Path, code: str, more: Mapping[str, Any], adjust: Mapping[str, Any]) -> Settings:
    http, management, broker, media = free_ports(4)
    sections: dict[str, dict[str, Any]] = {
        "centre": {"code": code},
        "state": {"dir": str(folder / code)},
        "http": {"port": http},
        "management": {"port": management},
        "broker": {"port": broker},
        "media": {"port": media},
        **more,
    }
    for name, keys in adjust.items():
        sections[name] = {**sections.get(name, {}), **keys}
    return Settings.model_validate(sections)


def write_toml(file: Path, settings: Settings) -> None:
    """Write the settings that were given."""
    lines = []
    for section, values in settings.model_dump(mode="json", exclude_unset=True).items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file.write_text("\n".join(lines) + "\n")


async def _provision(file: Path, nodes: Sequence[str]) -> dict[str, str]:
    roles = ["duty_officer", "operations", "caller"]
    wish = {
        "users": [{"name": ACCOUNT, "display_name": "基准测试", "roles": roles, "password": PASSWORD}],
        "nodes": list(nodes),
    }
    process = await asyncio.create_subprocess_exec(
        *(*SERVE, "provision", "-c", str(file)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate(json.dumps(wish).encode())
    if process.returncode:
        raise ConfigError(f"provision {file.stem}: {errors.decode(errors='replace').strip()[-800:]}")
    tokens: dict[str, str] = json.loads(out)["tokens"]
    return tokens


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that are free now for TCP and UDP, all different."""
    found: list[int] = []
    while len(found) < count:
        # Not for secrets: any free number will do.
        port = random.randrange(FIRST_PORT, LAST_PORT)  # noqa: S311 - which port it is tells nobody anything
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
