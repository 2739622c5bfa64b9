"""The health of this gateway's own machine, for its heartbeat to the tier above. Read from /proc and /sys."""

import os
import shutil
from pathlib import Path

from protocols.health import BoxHealth

_ZONES = Path("/sys/class/thermal")


def box_health(state_dir: Path, waiting: int) -> BoxHealth:
    """Return load, memory, disk, temperature and uptime; what a machine does not tell is None."""
    return BoxHealth(
        cpu_ratio=round(min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), 3),
        memory_ratio=_memory(),
        disk_free_bytes=shutil.disk_usage(state_dir).free,
        temperature_celsius=_temperature(),
        uptime_s=_uptime(),
        spool_records=waiting,
    )


def _memory() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1}
        return round(1.0 - sizes["MemAvailable"] / sizes["MemTotal"], 3)
    except (OSError, KeyError, ValueError):
        return None


def _uptime() -> float | None:
    try:
        return float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _temperature() -> float | None:
    found = []
    for zone in sorted(_ZONES.glob("thermal_zone*/temp")):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return max(found, default=None)
