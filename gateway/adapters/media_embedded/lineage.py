"""Children that end with their parent, whatever ends the parent."""

import ctypes
import os
import signal


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process with its parent (PR_SET_PDEATHSIG), and end now if it is gone already."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)
