"""Brokers for tests: a real mosquitto per test on its own port and folder, and amqtt in process.

`Mosquitto` can be killed with -9 and started again on the same port; access list and TLS are optional.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from protocols.aio.mqtt import BrokerAddress, TlsFiles
from tests.support.certificates import Authority

NODE_ACL = """
pattern write silian/v1/%u/up/#
pattern write silian/v1/%u/rcpt/down
pattern write silian/v1/%u/state
pattern read silian/v1/%u/down/#
pattern read silian/v1/%u/rcpt/up
"""


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def mosquitto_path() -> str | None:
    """Return the program, also where a plain PATH lacks /usr/sbin."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """One broker process. `acl` is an access file's text; with `authority` the listener asks for certificates,
    whose common name becomes the user. `settings` are further lines of configuration."""

    def __init__(
        self, folder: Path, *, acl: str | None = None, authority: Authority | None = None, settings: str = ""
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.authority = authority
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["user root", "persistence false", "set_tcp_nodelay true", f"listener {self.port} 127.0.0.1"]
        if authority is not None:
            files = authority.issue("localhost")
            lines += [
                f"cafile {files.ca}",
                f"certfile {files.certificate}",
                f"keyfile {files.key}",
                "require_certificate true",
                "use_identity_as_username true",
            ]
        else:
            lines.append("allow_anonymous true")
        if acl is not None:
            (folder / "acl").write_text(acl)
            lines.append(f"acl_file {folder / 'acl'}")
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join([*lines, settings]) + "\n")

    def address(self, user: str | None = None) -> BrokerAddress:
        """Return the address for `user`: a certificate where there is an authority, else a bare user name."""
        tls: TlsFiles | None = self.authority.issue(user or "anybody") if self.authority else None
        return BrokerAddress("127.0.0.1", self.port, tls=tls, username=None if tls else user)

    async def start(self) -> None:
        """Start and wait until the port answers."""
        program = mosquitto_path()
        assert program, "mosquitto is not installed"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(self._config)], stdout=log, stderr=log)
        await _answering(self.port, self._process)

    async def kill(self) -> None:
        """Kill -9 and wait for the end."""
        await self._end(self._process.kill if self._process else None)

    async def stop(self) -> None:
        """Ask to end and wait; safe to call twice."""
        await self._end(self._process.terminate if self._process else None)

    async def _end(self, how) -> None:
        process, self._process = self._process, None
        if process is not None and how is not None:
            how()
            await asyncio.to_thread(process.wait)


@contextlib.asynccontextmanager
async def mosquitto(folder: Path, **options) -> AsyncIterator[Mosquitto]:
    """Run a mosquitto for the length of a test."""
    broker = Mosquitto(folder, **options)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


_AMQTT = """
import asyncio, logging, sys
from amqtt.broker import Broker
logging.disable(logging.CRITICAL)
async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def amqtt_broker() -> AsyncIterator[BrokerAddress]:
    """Run the pure-Python broker for the length of a test, in a process of its own: it leaves sockets open."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", _AMQTT, str(port)], stderr=subprocess.DEVNULL)
    try:
        await _answering(port, process)
        yield BrokerAddress("127.0.0.1", port)
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def _answering(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(800):
        assert process.poll() is None, "the broker ended at its start"
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        await asyncio.sleep(0.025)
    raise AssertionError("the broker did not open its port")
