"""Children that end with their parent, whatever ends the parent, and where they stand beside other processes."""

import contextlib
import ctypes
import os
import signal

BEFORE_OTHERS = -5
"""Niceness: a picture waits for nobody who computes for long; others still have a quarter of the processor."""


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process with its parent (PR_SET_PDEATHSIG), and end now if it is gone already."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)


def go_before_others() -> None:
    """Take the niceness of what pictures wait for; a process that may not have it runs like everybody else."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, BEFORE_OTHERS)
