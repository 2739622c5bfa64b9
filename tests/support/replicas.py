"""A gateway of two replicas: real processes on one PostgreSQL, one mosquitto and one NATS server."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx

from gateway.enrolment.authority import Authority
from tests.support.brokers import Mosquitto, free_port
from tests.support.nats import NatsCluster
from tests.support.postgres import Cluster, shared_cluster

ROOT = Path(__file__).parents[2]
CENTRE = "320600"


class Replica:
    """One `silian serve`. It may be killed, paused, and started again."""

    def __init__(self, name: str, folder: Path, services: dict[str, str], more: str = "") -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self.config = folder / "gateway.toml"
        self.config.write_text(
            f'[centre]\ncode = "{CENTRE}"\n[state]\ndir = "state"\n[http]\nport = {self.port}\n'
            f'[management]\nport = 0\n[media]\nport = 0\ntcp = false\n[log]\nformat = "json"\n'
            f'[broker]\nurl = "{services["broker"]}"\n[store]\nurl = "{services["store"]}"\n'
            f'[bus]\nurl = "{services["bus"]}"\ncopies = 1\n'
            f'[replica]\nname = "{name}"\nurl = "{self.url}"\nshared_dir = "{folder.parent / "shared"}"\n' + more
        )

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway", "serve", "-c", str(self.config)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, env=os.environ)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class TwoReplicas:
    """`async with`: both are up, one leads; `client(replica)` is logged in with the one session that both honour.

    `cluster` is a database server that the test may kill, `more` further settings of both.
    """

    def __init__(self, folder: Path, *, cluster: Cluster | None = None, more: str = "") -> None:
        self.folder = folder
        self._cluster = cluster or shared_cluster()
        self._more = more
        self._stack = AsyncExitStack()
        self.token = ""

    async def __aenter__(self) -> "TwoReplicas":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        self.broker = Mosquitto(self.folder / "mqtt", settings=self._second_listener())
        await self.broker.start()
        self._stack.push_async_callback(self.broker.stop)
        nats = await asyncio.to_thread(self._stack.enter_context, NatsCluster(self.folder / "nats", count=1))
        database = await self._cluster.database()
        services = {
            "broker": f"mqtt://127.0.0.1:{self.broker.port}",
            "store": database.render_as_string(hide_password=False),
            "bus": nats.urls[0],
        }
        self.replicas = [Replica(name, self.folder / name, services, self._more) for name in ("a", "b")]
        for replica in self.replicas:
            self._stack.callback(replica.kill)
            replica.start()
        await self.ready(*self.replicas)
        await self._log_in()

    def _second_listener(self) -> str:
        """Let agents in too, which speak TLS alone and are known by their certificate."""
        authority = Authority.load(self.folder / "shared" / "pki", CENTRE, datetime.now(UTC))
        files = authority.server_files("broker", ("127.0.0.1",), datetime.now(UTC))
        self.box_port = free_port()
        return (
            f"listener {self.box_port} 127.0.0.1\ncafile {files.ca}\ncertfile {files.certificate}\n"
            f"keyfile {files.key}\nrequire_certificate true\nuse_identity_as_username true\nallow_anonymous true"
        )

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def ready(self, *replicas: Replica) -> None:
        """Wait until each answers that all its parts work and somebody leads."""
        async with asyncio.timeout(90):
            for replica in replicas:
                while not await self._is_ready(replica):
                    assert replica.alive, (replica.folder / "log").read_text()[-3000:]
                    await asyncio.sleep(0.1)

    @staticmethod
    async def _is_ready(replica: Replica) -> bool:
        async with httpx.AsyncClient(base_url=replica.url) as client:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    async def _log_in(self) -> None:
        lines = (self.folder / "shared" / "first-login.txt").read_text("utf-8").splitlines()
        name, password = (line.rpartition(": ")[2] for line in lines[:2])
        self.token = await self._signed_in(name, password)

    async def _signed_in(self, name: str, first: str) -> str:
        """Sign in with a first password, change it, and return the token."""
        async with httpx.AsyncClient(base_url=self.replicas[0].url, timeout=60) as client:
            answer = await client.post("/api/v1/session", json={"username": name, "password": first})
            token = str(answer.raise_for_status().json()["token"])
            change = {"old": first, "new": "Rudong-2026-Gateway"}
            answer = await client.post(
                "/api/v1/session/password", json=change, headers={"Authorization": f"Bearer {token}"}
            )
            answer.raise_for_status()
            return token

    async def person(self, role: str) -> dict[str, str]:
        """Make a user of a role; return the headers of a request in that name."""
        async with self.client(self.replicas[0]) as client:
            name = f"one{role}"
            body = {"name": name, "display_name": role, "roles": [role]}
            made = (await client.post("/api/v1/users", json=body)).raise_for_status().json()
        return {"Authorization": f"Bearer {await self._signed_in(name, made['password'])}"}

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, replica: Replica) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=replica.url, headers=self.headers, timeout=60)

    async def leader(self) -> tuple[Replica, Replica]:
        """Return who leads, and the other one."""
        async with asyncio.timeout(60):
            while True:
                for replica in self.replicas:
                    if not replica.alive:
                        continue
                    found = await self._leads(replica)
                    if found is not None:
                        return found, next(one for one in self.replicas if one is not found)
                await asyncio.sleep(0.1)

    async def _leads(self, asked: Replica) -> Replica | None:
        async with self.client(asked) as client:
            try:
                answer = await client.get("/api/v1/replicas")
            except httpx.HTTPError:
                return None
            if answer.status_code != 200:
                return None
            names = [one["name"] for one in answer.json()["items"] if one["leads"]]
            return next((one for one in self.replicas if one.name in names and one.alive), None)
