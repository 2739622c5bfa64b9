"""Runs Debian's `janus` as a child with a private configuration: HTTP on loopback, the videoroom, nothing else.

Janus takes no part in loopback media: `interface` names the addresses that it gathers candidates from, and on a machine
without such an address it must be met in a network namespace. It dies with its parent.
"""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.media_embedded.lineage import die_with_parent
from gateway.adapters.media_janus.api import JanusClient
from protocols.errors import LinkError, NeedsError

START_S = 10.0
FAREWELL_S = 3.0
WIDE = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")
KEPT = {"plugins": "libjanus_videoroom.so", "transports": "libjanus_http.so"}


@dataclass(frozen=True, slots=True)
class JanusSetup:
    """How to run it. `event_loops` 0 is a thread for each handle; `interface` an address prefix, empty for all."""

    directory: Path
    port: int
    interface: str = ""
    event_loops: int = 1


@dataclass(frozen=True, slots=True)
class JanusServer:
    """A Janus that runs."""

    pid: int
    client: JanusClient
    log: Path


def find_janus() -> str:
    """Return the program's path; raises NeedsError."""
    found = shutil.which("janus") or shutil.which("janus", path="/usr/bin:/usr/local/bin:/opt/janus/bin")
    if found is None:
        raise NeedsError("the program janus is not here; on Debian: apt-get install janus")
    return found


def janus_version(program: str) -> str:
    """Ask the program for its version; raises LinkError where it does not tell."""
    try:
        done = subprocess.run(  # noqa: S603 - the program that `find_janus` found, with one fixed word
            [program, "--version"], capture_output=True, text=True, check=False, timeout=START_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LinkError(f"{program} --version does not answer") from error
    found = re.search(r"\b(\d+\.\d+\.\d+)\b", done.stdout + done.stderr)
    if found is None:
        raise LinkError(f"{program} --version names no version")
    return found.group(1)


def srtp_build() -> str:
    """Name the crypto library behind the system's libsrtp, which decides much of what Janus costs."""
    for folder in WIDE:
        library = Path(folder) / "libsrtp2.so.1"
        if library.exists():
            content = library.read_bytes()
            return "NSS" if b"libnss3.so" in content else "OpenSSL" if b"libcrypto.so" in content else "built-in"
    return "unknown"


def configuration(setup: JanusSetup, log: Path, admin_secret: str, secret: str) -> dict[str, str]:
    """Return the files of the configuration directory by name; plugins and transports that are not needed stay out."""
    disabled = {kind: ",".join(_others(kind, kept)) for kind, kept in KEPT.items()}
    listed = f'ice_enforce_list = "{setup.interface}"' if setup.interface else ""
    folder = _modules()
    main = f"""
general: {{
    configs_folder = "{setup.directory}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    log_to_stdout = false
    log_to_file = "{log}"
    debug_level = 3
    api_secret = "{secret}"
    admin_secret = "{admin_secret}"
    {f"event_loops = {setup.event_loops}" if setup.event_loops else ""}
}}
nat: {{
    nice_debug = false
    ice_lite = false
    full_trickle = false
    {listed}
}}
plugins: {{ disable = "{disabled["plugins"]}" }}
transports: {{ disable = "{disabled["transports"]}" }}
"""
    http = f"""
general: {{ json = "compact"; base_path = "/janus"; http = true; port = {setup.port}; ip = "127.0.0.1"; https = false }}
admin: {{ admin_base_path = "/admin"; admin_http = true; admin_port = {setup.port + 1}; admin_ip = "127.0.0.1" }}
"""
    return {
        "janus.jcfg": main,
        "janus.transport.http.jcfg": http,
        "janus.plugin.videoroom.jcfg": "general: { }\n",
    }


def _modules() -> Path:
    for folder in WIDE:
        if (Path(folder) / "janus" / "plugins").is_dir():
            return Path(folder) / "janus"
    raise NeedsError("the modules of janus are not where Debian puts them; on Debian: apt-get install janus")


def _others(kind: str, kept: str) -> list[str]:
    return sorted(p.name for p in (_modules() / kind).glob("*.so") if p.name != kept)


@contextlib.asynccontextmanager
async def janus_server(setup: JanusSetup) -> AsyncIterator[JanusServer]:
    """Run Janus until the context ends. Raises NeedsError without the program, LinkError where it does not start."""
    program = find_janus()
    setup.directory.mkdir(parents=True, exist_ok=True)
    log = setup.directory / "janus.log"
    admin_secret, secret = secrets.token_hex(16), secrets.token_hex(16)
    for name, text in configuration(setup, log, admin_secret, secret).items():
        file = setup.directory / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    parent = os.getpid()
    with (setup.directory / "output.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            program, "--configs-folder", str(setup.directory), "--config", str(setup.directory / "janus.jcfg"),
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),
        )  # fmt: skip
    base = f"http://127.0.0.1:{setup.port}"
    try:
        client = JanusClient(f"{base}/janus", secret=secret, admin_url=f"http://127.0.0.1:{setup.port + 1}/admin",
                             admin_secret=admin_secret)  # fmt: skip
        async with client:
            await _ready(process, client, log)
            yield JanusServer(process.pid, client, log)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process, client: JanusClient, log: Path) -> None:
    try:
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                with contextlib.suppress(LinkError):
                    await client.info()
                    return
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise LinkError(f"janus does not answer within {START_S:g} s; see {log}") from error
    raise LinkError(f"janus ended with status {process.returncode}; see {log}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(FAREWELL_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
