"""The machine's own health from /proc and /sys; what a machine does not tell stays None."""

import os
import shutil
from pathlib import Path

from protocols.health import BoxHealth

_PROC = Path("/proc")
_SYS = Path("/sys")


class BoxWatch:
    """Call `look` about every 5 s: the processor's share is that since the call before."""

    def __init__(self, state_dir: Path, *, proc: Path = _PROC, sys: Path = _SYS) -> None:
        self._state_dir = state_dir
        self._proc = proc
        self._sys = sys
        self._busy: tuple[int, int] | None = None

    def look(self) -> BoxHealth:
        """Return what the machine says now; never raises."""
        return BoxHealth(
            cpu_ratio=self._cpu(),
            memory_ratio=self._memory(),
            disk_free_bytes=self._disk(),
            temperature_celsius=self._temperature(),
            uptime_s=self._uptime(),
            on_battery=self._battery(),
            battery_ratio=self._charge(),
        )

    def _cpu(self) -> float | None:
        try:
            fields = [int(word) for word in (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        idle, total = fields[3] + fields[4], sum(fields)
        before, self._busy = self._busy, (idle, total)
        if before is None or total <= before[1]:
            return None
        return round(min(1.0, max(0.0, 1 - (idle - before[0]) / (total - before[1]))), 4)

    def _memory(self) -> float | None:
        try:
            lines = (self._proc / "meminfo").read_text().splitlines()
            sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest}
            return round(1 - sizes["MemAvailable"] / sizes["MemTotal"], 4)
        except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
            return None

    def _disk(self) -> int | None:
        try:
            return shutil.disk_usage(self._state_dir).free
        except OSError:
            return None

    def _temperature(self) -> float | None:
        found: list[float] = []
        for zone in sorted(self._sys.glob("class/thermal/thermal_zone*/temp")):
            try:
                found.append(int(zone.read_text()) / 1000)
            except (OSError, ValueError):
                continue
        return max(found, default=None)

    def _uptime(self) -> float | None:
        try:
            return float((self._proc / "uptime").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _battery(self) -> bool | None:
        states: list[bool] = []
        for supply in sorted(self._sys.glob("class/power_supply/*/online")):
            try:
                states.append(supply.read_text().strip() == "0")
            except OSError:
                continue
        return all(states) if states else None

    def _charge(self) -> float | None:
        found: list[float] = []
        for supply in sorted(self._sys.glob("class/power_supply/*/capacity")):
            try:
                found.append(int(supply.read_text()) / 100)
            except (OSError, ValueError):
                continue
        return min(max(min(found), 0.0), 1.0) if found else None


def own_rss_bytes(proc: Path = _PROC) -> int:
    """Return the memory that this process holds."""
    try:
        return int((proc / "self" / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
