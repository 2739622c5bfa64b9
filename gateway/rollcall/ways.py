"""Which point stands for a county, and whether the way to it is open. Pure, from the registry's present view."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.rollcall import phrases
from gateway.rollcall.needs import KnownCamera, KnownLink, Ways
from gateway.rollcall.records import PointRecord
from protocols.health import LinkReason, LinkStatus
from protocols.ids import is_gateway
from protocols.tiers import Centre, Tier

HEARTBEAT_S: Final = 30.0
CLOCK_S: Final = 1.0
DISK_BYTES: Final = 1 << 30
"""Prechecks of domain.md 3.3: age of the last heartbeat, offset of the clock, free disk."""
DUTY_ROOM = "room"
"""The camera that stands for a county, where it has one of this name; else its first."""


@dataclass(frozen=True, slots=True)
class Break:
    """The topmost link on the way that is not up. `ours`: it lies above the county, so the county is not to blame."""

    node: str
    reason: LinkReason | None
    ours: bool
    never: bool = False

    def sentence(self) -> str:
        """Say it to the operator."""
        why = "从未接入" if self.never else f"链路中断({self.reason or 'unknown'})"
        blame = "平台未能到达该县 (unreachable)，不归因于县级：" if self.ours else ""
        return f"{blame}{self.node} {why}"


def due_centres(ways: Ways) -> list[Centre]:
    """Return all counties of the subtree that are in force today."""
    return [centre for centre in ways.centres() if centre.tier is Tier.COUNTY]


def point_of(roll_call_id: str, number: int, centre: Centre, cameras: Iterable[KnownCamera]) -> PointRecord:
    """Choose the camera that stands for a county."""
    point = PointRecord(roll_call_id, centre.code, number, centre.name)
    stand_for(point, cameras)
    return point


def stand_for(point: PointRecord, cameras: Iterable[KnownCamera]) -> None:
    """Give a point the camera that stands for its county, where one is known."""
    own = [camera for camera in cameras if camera.centre == point.centre]
    chosen = next((camera for camera in own if camera.name == DUTY_ROOM), own[0] if own else None)
    if chosen is not None:
        point.camera, point.owner = chosen.name, chosen.owner


def way_to(ways: Ways, centre: str) -> tuple[str, ...]:
    """Return the codes on the way from here down to `centre`, the topmost first."""
    parents = {one.code: one.parent for one in ways.centres()}
    path: list[str] = []
    at: str | None = centre
    while at is not None and at in parents and at != ways.own().code:
        path.append(at)
        at = parents[at]
    return tuple(reversed(path))


def break_on_way(ways: Ways, way: Iterable[str], centre: str, owner: str | None) -> Break | None:
    """Return where the way (of `way_to`) to `owner` in `centre` is broken, None while it is open."""
    for code in way:
        link = ways.link(code)
        if link is not None and link.status is not LinkStatus.UP:
            return _break(link, ours=code != centre)
    if owner is not None:
        link = ways.link(owner)
        return None if link is None or link.status is LinkStatus.UP else _break(link, ours=False)
    own = [link for link in ways.links() if link.centre == centre]
    if any(link.status is LinkStatus.UP for link in own):
        return None
    return _break(own[0], ours=False) if own else Break(centre, None, ours=False, never=True)


def _break(link: KnownLink, *, ours: bool) -> Break:
    return Break(link.node, link.reason, ours, never=link.status is LinkStatus.NEVER)


def delegate_of(ways: Ways, centre: str) -> str | None:
    """Return the gateway below that asks a county for us: one that stands between us and the county."""
    hop = ways.next_hop(centre)
    return hop if hop is not None and is_gateway(hop) and hop != centre else None


def gateways_on_way(ways: Ways, way: Iterable[str]) -> tuple[str, ...]:
    """Return the gateways on the way (of `way_to`), the topmost first; the county's own one too."""
    return tuple(code for code in way if ways.link(code) is not None)


def probe(ways: Ways, point: PointRecord, now: datetime) -> dict[str, Any]:
    """Return what can be said of a point without asking it: whether it is `ready`, and the `findings` in words."""
    findings = []
    broken = break_on_way(ways, way_to(ways, point.centre), point.centre, point.owner)
    if broken is not None:
        findings.append(broken.sentence())
    if point.camera is None:
        findings.append(phrases.NO_CAMERA)
    link = ways.link(point.owner) if point.owner is not None else None
    if link is not None and link.last_heartbeat_at is not None:
        age = (now - link.last_heartbeat_at).total_seconds()
        if age > HEARTBEAT_S:
            findings.append(phrases.HEARTBEAT_OLD.format(seconds=round(age)))
    offset = ways.clock_offset(point.owner) if point.owner is not None else None
    if offset is not None and abs(offset) > CLOCK_S:
        findings.append(phrases.CLOCK_OFF.format(seconds=round(offset, 1)))
    free = link.box.disk_free_bytes if link is not None and link.box is not None else None
    if free is not None and free < DISK_BYTES:
        findings.append(phrases.DISK_FULL.format(mebibytes=free >> 20))
    if link is not None and link.box is not None and link.box.on_battery:
        charge = link.box.battery_ratio
        findings.append(phrases.ON_UPS.format(charge="" if charge is None else f"，电量 {charge:.0%}"))
    return {"at": now.isoformat(), "ready": not findings, "findings": findings}
