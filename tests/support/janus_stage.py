"""Janus for tests, in a network namespace of its own: it takes no part in loopback media.

`namespaced(FILES)` runs contract tests there in a child; inside, the `engine` fixture gives a `JanusMediaEngine`.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aioice.ice

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_janus.connection import JanusPlace
from gateway.adapters.media_janus.engine import JanusMediaEngine
from tests.support.house import ROOT

ADDRESS = "198.18.0.1"
MARK = "SILIAN_TEST_JANUS"
LINES = (
    "ip link set lo up",
    "ip link add silian0 type veth peer name silian1",
    f"ip address add {ADDRESS}/24 dev silian0",
    "ip link set silian0 up",
    "ip link set silian1 up",
)


def inside() -> bool:
    """Tell whether this process runs in the namespace."""
    return bool(os.environ.get(MARK))


def missing() -> str:
    """Return why Janus cannot be met here; empty where it can."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        return "needs root, unshare and ip"
    return "" if shutil.which("janus") else "apt-get install janus"


def namespaced(words: list[str], within_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run pytest with these words in a namespace with one address that is not loopback, and no way out."""
    script = " && ".join([*LINES, 'exec "$@"'])
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-m", "pytest", "-x", "-q",
               "-p", "no:cacheprovider", *words]  # fmt: skip
    environment = {**os.environ, MARK: "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=within_s
    )


@contextlib.asynccontextmanager
async def janus_engine(folder: Path) -> AsyncIterator[JanusMediaEngine]:
    """Run an engine with a Janus of its own."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [ADDRESS] if use_ipv4 else []
    worker = EmbeddedMediaEngine(state_dir=folder / "engine", advertise=(ADDRESS,), host=ADDRESS)
    async with JanusMediaEngine(worker, JanusPlace(folder / "janus", interface=ADDRESS)) as engine:
        yield engine
