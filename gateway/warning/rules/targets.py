"""Whom a warning concerns: the targets of the call list that lie in its area, and the outlets that must carry it.

Who stands on the list is data of the centre, versioned. A warning's polygon decides for targets whose place is known;
else the division codes do: a warning for a county covers its townships and villages, one for a township not the county.
A warning without any usable area concerns all.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from protocols.cap import inside, polygon_of
from protocols.errors import BadSchemaError
from protocols.warning import Part

CODE = r"^[0-9]{6}([0-9]{3}([0-9]{3})?)?$"


class Person(Part):
    """Somebody who can be called."""

    name: str = Field(min_length=1, max_length=64)
    post: str = Field(default="", max_length=64)
    phone: str | None = Field(default=None, pattern=r"^\+?[0-9 -]{3,20}$")
    email: str | None = Field(default=None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=128)
    url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$", max_length=512)


class Responsible(Part):
    """One post that must be reached: its persons in the order in which they are called."""

    chain: tuple[Person, ...] = Field(min_length=1, max_length=10)


class Target(Part):
    """A town, village or site. `neighbour` goes there by foot where nobody answers (上门)."""

    name: str = Field(min_length=1, max_length=64)
    code: str = Field(pattern=CODE)
    place: tuple[float, float] | None = None
    responsible: tuple[Responsible, ...] = Field(min_length=1, max_length=50)
    neighbour: Person | None = None


class OutletKind(StrEnum):
    """Who must get a warning apart from those called (突发事件应对法 2024, articles 64, 65 and 70)."""

    NEIGHBOUR = "neighbour"  # 毗邻地区
    GARRISON = "garrison"  # 驻地部队
    DEPARTMENT = "department"  # 部门
    BROADCASTER = "broadcaster"  # 广播电视、应急广播
    CARRIER = "carrier"  # 通信运营商、12379
    PUBLIC_PLACE = "public_place"  # 人员密集场所


PUBLIC = frozenset({OutletKind.BROADCASTER, OutletKind.CARRIER, OutletKind.PUBLIC_PLACE})
"""Outlets that speak to the public: a drill never reaches them."""


class Outlet(Part):
    """A unit that passes warnings on, with the ways to it."""

    name: str = Field(min_length=1, max_length=64)
    kind: OutletKind
    phone: str | None = Field(default=None, pattern=r"^\+?[0-9 -]{3,20}$")
    email: str | None = Field(default=None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=128)
    url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$", max_length=512)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.phone is None and self.email is None and self.url is None:
            raise ValueError("an outlet needs a phone, email or url")
        return self


class CallList(Part):
    """Everything that one centre knows of whom to reach."""

    targets: tuple[Target, ...] = Field(default=(), max_length=1000)
    outlets: tuple[Outlet, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for what, names in (("target", [t.name for t in self.targets]), ("outlet", [o.name for o in self.outlets])):
            if len(set(names)) < len(names):
                raise ValueError(f"each {what} stands once on the list")
        return self


def covers(wider: str, code: str) -> bool:
    """Tell whether the area of a division code covers another one (GB/T 2260: pairs, then three digits each)."""
    return code.startswith(_significant(wider))


def _significant(code: str) -> str:
    digits = code[:12]
    for size in (3, 3) if len(digits) == 12 else ((3,) if len(digits) == 9 else ()):
        if digits.endswith("0" * size):
            digits = digits[:-size]
        else:
            return digits
    while len(digits) <= 6 and digits.endswith("00"):
        digits = digits[:-2]
    return digits


def targets_of(targets: Sequence[Target], codes: Sequence[str], polygons: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets that a warning concerns, in the order of the list."""
    drawn = [found for one in polygons if (found := polygon_of(one))]
    usable = [code for code in codes if len(code) >= 6 and code[:12].isdigit()]
    if not drawn and not usable:
        return tuple(targets)
    return tuple(target for target in targets if _concerned(target, usable, drawn))


def _concerned(target: Target, codes: Sequence[str], drawn: Sequence[tuple[tuple[float, float], ...]]) -> bool:
    if drawn and target.place is not None:
        return any(inside(target.place, polygon) for polygon in drawn)
    return any(covers(code, target.code) for code in codes)


def outlets_of(outlets: Sequence[Outlet], *, drill: bool) -> tuple[Outlet, ...]:
    """Return the outlets that carry a warning."""
    return tuple(outlet for outlet in outlets if not (drill and outlet.kind in PUBLIC))


def check_polygon(text: str) -> None:
    """Raise BadSchemaError for what is no CAP polygon."""
    if text and not polygon_of(text):
        raise BadSchemaError("areas.polygon: write lat,lon pairs with blanks between, the first one again at the end")
