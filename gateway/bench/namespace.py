"""A private network namespace for the run: no route outside, one address that is not loopback.

Janus gathers no loopback candidates, so everything measured meets at `ADDRESS`, from the block set aside for
benchmarks (RFC 2544). Packets to it never leave the kernel.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

ADDRESS = "198.18.0.1"
LOOPBACK = "127.0.0.1"
_MARK = "SILIAN_BENCH_NAMESPACE"
_LINES = (
    "ip link set lo up",
    "ip link add silian0 type veth peer name silian1",
    f"ip address add {ADDRESS}/24 dev silian0",
    "ip link set silian0 up",
    "ip link set silian1 up",
)


def address() -> str:
    """Return the address to measure at: that of the namespace where we are in ours, else loopback."""
    return ADDRESS if os.environ.get(_MARK) else LOOPBACK


def enter(arguments: Sequence[str], *, mounts: bool = False) -> str | None:
    """Replace this process by the bench in a namespace of its own; where that cannot be, return why.

    With `mounts` file systems mounted there are its own too, and end with it.
    """
    if os.environ.get(_MARK):
        return None
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "no private network: unshare or ip is missing (Debian: util-linux, iproute2)"
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    unshare += ["--mount"] if mounts else []
    script = " && ".join(_LINES)
    # Tried first, so that a system that forbids namespaces still measures on loopback. All arguments are ours.
    tried = subprocess.run(  # noqa: S603 - a fixed script
        [*unshare, "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"no private network: {tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else 'refused'}"
    os.environ[_MARK] = "1"
    again = [sys.executable, "-m", "gateway.bench", *arguments]
    # The same program in the namespace; the shell passes the arguments on unread.
    return os.execvp("unshare", [*unshare, "sh", "-c", f'{script} && exec "$@"', "sh", *again])  # noqa: S606, S607 - ours
