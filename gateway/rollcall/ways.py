"""Which point stands for a county, and whether the way to it is open. Pure, from the registry's present view."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.rollcall.needs import KnownCamera, KnownLink, Ways
from gateway.rollcall.records import PointRecord
from protocols.health import LinkReason, LinkStatus
from protocols.tiers import Centre, Tier

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
    own = [camera for camera in cameras if camera.centre == centre.code]
    chosen = next((camera for camera in own if camera.name == DUTY_ROOM), own[0] if own else None)
    point = PointRecord(roll_call_id, centre.code, number, centre.name)
    if chosen is not None:
        point.camera, point.owner = chosen.name, chosen.owner
    return point


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
