"""Processes as the kernel sees them: CPU clock of all threads, memory, open files; cores set aside for each side."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path


def cpu_s(pids: tuple[int, ...]) -> float:
    """Return the CPU seconds that these processes used so far, all threads, user and system.

    The kernel's clock of a process (clock_getcpuclockid(3)) in nanoseconds; /proc/PID/stat has it in ticks of 10 ms.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def rss_mb(pid: int) -> float:
    """Return the resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def open_files(pid: int) -> int:
    """Return how many descriptors the process holds."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@contextlib.contextmanager
def started_on(side: str) -> Iterator[None]:
    """Let processes that are started inside run on the cores of `side`: measured or load; one core has no sides."""
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]} if side == "measured" else set(cores[1:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def machine() -> str:
    """Name the processor, how many of it there are, and the kernel."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Linux {os.uname().release.partition('-')[0]}"
