"""What goes wrong, by chance of a seed: kills, pauses, cut links, full disks, stepped clocks.

Kills follow each other; everything that lasts goes on beside them and heals by itself. A fault that this machine cannot
make (no namespaces, no broker of one's own) is left out and said so.
"""

import asyncio
import contextlib
import errno
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.bench.chaos import clock
from gateway.bench.tiers import Program, Tier
from protocols.errors import LinkError

PAUSE_S = (0.3, 1.6)
"""Between two faults."""
LASTING_S = (1.0, 4.0)
FARTHEST_STEP_S = 5000.0
FILLER = "filler"


class Victim(Protocol):
    """Something that can be killed with -9 and is up again a moment later: a gateway, agents, a broker, a database."""

    @property
    def name(self) -> str:
        """Name in the log of the run."""
        ...

    @property
    def kind(self) -> str:
        """What it is: of each kind one falls in every run."""
        ...

    async def kill(self) -> bool:
        """Kill it; False where it is not there just now."""
        ...

    async def revive(self) -> None:
        """Start it again, where nobody else does."""
        ...


@dataclass(frozen=True, slots=True)
class ProgramVictim:
    """A program of the run: a gateway, or a host of agents."""

    program: Program
    kind: str

    @property
    def name(self) -> str:
        """See Victim."""
        return self.program.name

    async def kill(self) -> bool:
        """See Victim."""
        await self.program.kill()
        return True

    async def revive(self) -> None:
        """See Victim."""
        await self.program.start()


@dataclass(frozen=True, slots=True)
class BrokerVictim:
    """The broker of a gateway, which starts it again itself."""

    tier: Tier

    @property
    def name(self) -> str:
        """See Victim."""
        return f"broker of {self.tier.code}"

    @property
    def kind(self) -> str:
        """See Victim."""
        return "broker"

    async def kill(self) -> bool:
        """See Victim."""
        return self.tier.kill_broker()

    async def revive(self) -> None:
        """See Victim."""


@dataclass
class Field:
    """Where faults may strike. `lines` cut a link each while their context lasts, `disks` are small file systems."""

    programs: Sequence[Program]
    tiers: Sequence[Tier]
    victims: Sequence[Victim]
    clocks: Sequence[Path]
    lines: Sequence[Callable[[], AbstractContextManager[None]]] = ()
    disks: Sequence[Path] = ()
    counts: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)


class Ordeal:
    """Run it for some seconds; afterwards everything is whole again."""

    def __init__(self, field_: Field, chance: random.Random) -> None:
        self._field = field_
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()
        self._filled: set[Path] = set()
        self._was_full = False
        # One of each kind falls first, so that no run is too short, and no machine too slow, for any of them.
        ordered = chance.sample(field_.victims, len(field_.victims))
        self._first = list({victim.kind: victim for victim in ordered}.values())

    async def run(self, seconds: float) -> None:
        """Let faults happen for so long, and until one victim of each kind fell; then heal what is still broken."""
        lasting = [self._pause, self._step]
        lasting += [self._cut] if self._field.lines else []
        lasting += [self._fill] if self._field.disks else []
        ends = asyncio.get_running_loop().time() + seconds
        try:
            while self._first or asyncio.get_running_loop().time() < ends:
                await asyncio.sleep(self._chance.uniform(*PAUSE_S))
                await self.restart_ended()
                if self._chance.random() < 0.72:
                    await self._kill()
                else:
                    self._beside(self._chance.choice(lasting))
        finally:
            await self._heal()

    async def restart_ended(self) -> None:
        """Start again what ended by itself, as an init system does; a full disk is the one excuse for it."""
        for program in self._field.programs:
            process = program.process
            if process is None or process.returncode is None:
                continue
            if not self._was_full:
                self._field.crashes.append(f"{program.name} ended by itself ({process.returncode}); see {program.log}")
            self._field.counts["ended_full"] += self._was_full
            await program.start()

    async def _kill(self) -> None:
        victim = self._first[-1] if self._first else self._chance.choice(self._field.victims)
        try:
            killed = await victim.kill()
        except LinkError:
            return  # it ended by itself a moment ago; the next round says so
        if killed:
            self._first = self._first[:-1]
            self._field.counts["kills"] += 1
            await asyncio.sleep(self._chance.uniform(0, 0.5))
            await victim.revive()

    def _beside(self, fault: Callable[[], Awaitable[None]]) -> None:
        async def strike() -> None:
            await fault()

        task = asyncio.ensure_future(strike())
        self._tasks.add(task)
        task.add_done_callback(self._struck)

    def _struck(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._field.crashes.append(f"a fault could not be made or healed: {type(error).__name__} {error}")

    async def _heal(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.restart_ended()

    async def _pause(self) -> None:
        """Stop a process as a debugger or a swapping machine does, then let it go on."""
        brokers = [pid for tier in self._field.tiers if (pid := tier.broker_pid()) is not None]
        programs = [program.pid for program in self._field.programs if program.pid is not None]
        pid = self._chance.choice(brokers + programs)
        seconds = self._chance.uniform(*LASTING_S)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._field.counts["pauses"] += 1
            await asyncio.sleep(seconds)
            os.kill(pid, signal.SIGCONT)

    async def _cut(self) -> None:
        """Let packets of one link vanish."""
        line = self._chance.choice(self._field.lines)
        with line():
            self._field.counts["cuts"] += 1
            await asyncio.sleep(self._chance.uniform(*LASTING_S))

    async def _fill(self) -> None:
        """Fill a disk to the last byte, then make room again."""
        disk = self._chance.choice(self._field.disks)
        seconds = self._chance.uniform(*LASTING_S)
        if disk in self._filled:
            return
        self._filled.add(disk)
        self._was_full = True
        self._field.counts["full_disks"] += 1
        try:
            _to_the_last_byte(disk / FILLER)
            await asyncio.sleep(seconds)
        finally:
            (disk / FILLER).unlink(missing_ok=True)
            self._filled.discard(disk)

    async def _step(self) -> None:
        """Step a wall clock, back or forth."""
        seconds = self._chance.uniform(3, FARTHEST_STEP_S) * self._chance.choice((-1, 1))
        clock.step(self._chance.choice(self._field.clocks), seconds)
        self._field.counts["clock_steps"] += 1


def _to_the_last_byte(file: Path) -> None:
    # Without a buffer: one would be written at the close, and fail there once more.
    try:
        with file.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(65536))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def prepare_network() -> None:
    """Let rules come before the table of local addresses, so that loopback can be cut; in a private namespace only."""
    _ip("rule add pref 100 lookup local")
    _ip("rule del pref 0 lookup local")


@contextlib.contextmanager
def cut(address: str) -> Iterator[None]:
    """Let all packets to and from an address vanish while the context lasts; after `prepare_network`."""
    with _vanishing(f"{way} {address}" for way in ("to", "from")):
        yield


@contextlib.contextmanager
def cut_port(port: int) -> Iterator[None]:
    """Let all packets from and to a UDP port vanish while the context lasts; after `prepare_network`."""
    with _vanishing(f"ipproto udp {end} {port}" for end in ("sport", "dport")):
        yield


@contextlib.contextmanager
def _vanishing(selectors: Iterable[str]) -> Iterator[None]:
    rules = [f"{selector} blackhole" for selector in selectors]
    for rule in rules:
        _ip(f"rule add pref 10 {rule}")
    try:
        yield
    finally:
        for rule in rules:
            _ip(f"rule del pref 10 {rule}")


def udp_ports(pid: int) -> tuple[int, ...]:
    """Return the UDP ports that a process has open (proc(5)); none once it is gone."""
    own = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                own.add(str(entry.readlink()))
        rows = [line.split() for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]]
        return tuple(sorted(int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in own))
    return ()


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)  # noqa: S603, S607 - arguments are ours
