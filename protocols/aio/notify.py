"""Tells systemd that the service is ready, alive and stopping; does nothing where systemd did not ask."""

import os
import socket


def notify(message: str) -> None:
    """Send one message (sd_notify(3)), e.g. `READY=1`; a socket that is gone or full is ignored."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        try:
            # A receiver that does not read must not hold up the event loop.
            link.sendto(message.encode(), socket.MSG_DONTWAIT, target)
        except OSError:
            return


def watchdog_s() -> float | None:
    """Return how often `WATCHDOG=1` must be sent (half of what systemd allows), None where it does not watch."""
    allowed, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not allowed.isdigit() or (process and process != str(os.getpid())):
        return None
    return int(allowed) / 2_000_000
