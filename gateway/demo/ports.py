"""Ports: find free ones, and name the process that holds a taken one.

Linux tells the holder through `/proc/net` (socket inode of a port) and `/proc/*/fd` (who has that inode open); a
process of another user stays nameless for everyone but root.
"""

import contextlib
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from protocols.errors import ConfigError

_LISTEN = "0A"
_FIRST, _LAST = 12_000, 30_000
"""Below the ports that the kernel gives to whoever connects: a free one is free until its program listens."""


def free_ports(count: int) -> list[int]:
    """Return `count` ports that are free for TCP and UDP on loopback right now."""
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(_FIRST, _LAST)  # noqa: S311 - which port it is tells nobody anything
            tcp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                found.append(port)
        return found


def require_free(host: str, tcp: Iterable[int], udp: Iterable[int]) -> None:
    """Raise ConfigError naming the holder of the first port that is taken."""
    for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
        for port in ports:
            _require(host, port, kind)


def _require(host: str, port: int, kind: socket.SocketKind) -> None:
    word = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # As servers do: connections of an earlier run that linger in TIME_WAIT hold nobody up.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            who = holder(port, word.lower()) or "未知进程 an unknown process"
            raise ConfigError(
                f"{word} 端口 {port} 不可用（{error.strerror}），占用者：{who}。"
                f"请结束它，或用 --port 另选起点（--port 0 自动选择）。"
                f" {word} port {port} is held by {who}; end it or choose another --port."
            ) from None


def holder(port: int, kind: str) -> str | None:
    """Return `pid 12 (command line)` of the process that listens on `port`; `kind` is tcp or udp."""
    inodes = {inode for family in ("", "6") for inode in _inodes(Path(f"/proc/net/{kind}{family}"), port, kind)}
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return f"pid {process.name} ({command_line(int(process.name))})"
    return None


def command_line(pid: int) -> str:
    """Return the command line of a process, shortened to 120 characters; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()[:120]


def _inodes(table: Path, port: int, kind: str) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and (kind == "udp" or fields[3] == _LISTEN):
            found.append(fields[9])
    return found
