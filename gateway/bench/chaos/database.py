"""A PostgreSQL server of the run's own, which may be killed as a power cut does: all its processes at once."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gateway.adapters.media_embedded.lineage import die_with_parent
from gateway.bench.tiers import free_ports
from protocols.errors import ConfigError, LinkError

ACCOUNT = "silian"
READY_S = 60.0
PLACES = tuple(f"/usr/lib/postgresql/{version}/bin" for version in (18, 17, 16, 15))
CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
shared_buffers = 32MB
max_connections = 60
fsync = on
"""


class Database:
    """`prepare`, then `start`; a victim of the ordeal from then on."""

    name = kind = "database"

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.kills = 0
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._user: str | None = None

    @property
    def url(self) -> str:
        """Where a gateway finds it (`store.url`)."""
        return f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/{ACCOUNT}"

    async def prepare(self) -> None:
        """Make an empty cluster; raises ConfigError where this machine cannot."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        self._user = _server_account()
        self._folder = Path(tempfile.mkdtemp(prefix="silian-chaos-pg-"))
        if self._user is not None:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--locale=C")
        with (data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION.format(port=self.port))

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - the server's own programs
            [program(name), *arguments], check=False, user=self._user, capture_output=True, text=True, cwd=self._folder
        )
        if done.returncode:
            raise ConfigError(f"{name}: {done.stderr.strip()[-400:]}")

    async def start(self) -> None:
        """Start the server, wait until it takes connections, and make the gateway's database; raises LinkError."""
        await self.revive()
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", ACCOUNT)
        await asyncio.to_thread(self._run, "createdb", *where, ACCOUNT)

    def _start(self) -> None:
        if self._folder is None:
            raise AssertionError("prepare the database first")
        parent = os.getpid()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the server's own program
                [program("postgres"), "-D", str(self._folder / "data")],
                user=self._user,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - it makes one system call
            )

    async def _ready(self) -> None:
        asked = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", ACCOUNT, "-U", ACCOUNT]
        loop = asyncio.get_running_loop()
        ends = loop.time() + READY_S
        while (await asyncio.to_thread(subprocess.run, asked, check=False)).returncode:
            if loop.time() > ends:
                raise LinkError(f"the database does not take connections; see {self._folder}/log")
            if self._process is None or self._process.poll() is not None:
                await asyncio.to_thread(self._start)  # what was killed was not quite gone
            await asyncio.sleep(0.25)

    async def kill(self) -> bool:
        """See Victim."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        # Stopped first, so that it starts no child that would outlive it and hold its memory against the next server.
        process.send_signal(signal.SIGSTOP)
        for pid in (process.pid, *_children(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        self.kills += 1
        return True

    async def revive(self) -> None:
        """See Victim: what was killed leaves its lock file, and the server finds out by itself that it is stale."""
        await asyncio.to_thread(self._start)
        await self._ready()

    async def remove(self) -> None:
        """End the server and remove its data."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            await asyncio.to_thread(self._process.wait)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def _children(pid: int) -> Sequence[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _server_account() -> str | None:
    """Return the account to run the server as; None is one's own. The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise ConfigError(
            "--postgres as root needs the account postgres (Debian: apt-get install postgresql)"
        ) from None


def program(name: str) -> str:
    """Return a program of the server; raises ConfigError."""
    found = shutil.which(name, path=os.pathsep.join((*PLACES, os.environ.get("PATH", ""))))
    if found is None:
        raise ConfigError(f"--postgres needs {name} (Debian: apt-get install postgresql)")
    return found
