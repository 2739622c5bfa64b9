"""A real PostgreSQL server per test run, a database per test made from a template at the newest schema.

The server lives in a temporary directory and answers on 127.0.0.1. `Cluster` can be killed with -9 and started again on
the same port; the shared one is none that a test kills, and therefore does without fsync.
"""

import asyncio
import atexit
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from pathlib import Path

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.engine import URL

from gateway.adapters.store_postgres import PostgresStore
from protocols.aio.clock import SystemClock
from tests.support.brokers import free_port

_SERVERS = ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
TEMPLATE = "silian_template"
_number = count(1)


def _program(name: str) -> str:
    found = shutil.which(name, path=":".join((*_SERVERS, os.environ.get("PATH", ""))))
    assert found, f"{name} is not installed: apt-get install postgresql"
    return found


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: a test run that is killed leaves no server behind


class Cluster:
    """One server with its data directory. The account `silian` owns its databases and is no superuser."""

    def __init__(self, *, durable: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="silian-pg-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.data = self.folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                "shared_buffers = 32MB\nmax_connections = 60\nmax_wal_size = 256MB\nautovacuum_naptime = 5s\n"
                f"fsync = {'on' if durable else 'off'}\n"
            )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [_program(program), *arguments], check=True, user=self._user, capture_output=True, cwd=self.folder
        )

    def start(self) -> "Cluster":
        """Start the server and wait until it takes connections."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [_program("postgres"), "-D", str(self.data)],
            user=self._user,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it makes one system call
        )
        log.close()
        until = time.monotonic() + 60
        ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "the server does not take connections"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """Kill the server as a power cut does: all its processes at once."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End the server; the data stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)

    def remove(self) -> None:
        """End the server and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = "silian") -> URL:
        """Return the address of a database."""
        return make_url(f"postgresql://{user}@127.0.0.1:{self.port}/{database}")

    async def command(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(
            self.url(database, "postgres").render_as_string(), timeout=30, server_settings={"synchronous_commit": "on"}
        )
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def database(self) -> URL:
        """Make a fresh database at the newest schema."""
        name = f"silian_{next(_number)}"
        await self.command(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER silian")
        return self.url(name)

    async def make_template(self) -> None:
        """Make the account, and the database from which the tests' are copied."""
        await self.command("CREATE ROLE silian LOGIN", f"CREATE DATABASE {TEMPLATE} OWNER silian")
        store = PostgresStore(self.url(TEMPLATE), "320600", SystemClock(), lambda _: None, self.folder / "x.mark")
        async with store:
            pass
        await self.command(
            "DELETE FROM store_meta WHERE key <> 'version'", "UPDATE store_meta SET value = '0'", database=TEMPLATE
        )


@cache
def shared_cluster() -> Cluster:
    """Return the server of this test run; it ends with the process."""
    cluster = Cluster(durable=False).start()
    atexit.register(cluster.remove)
    with ThreadPoolExecutor(1) as aside:  # the caller's own loop may be running
        aside.submit(asyncio.run, cluster.make_template()).result()
    return cluster
