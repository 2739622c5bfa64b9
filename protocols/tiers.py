"""Centres and the four tiers: 国家 national > 省 province > 市 city > 县 county.

Codes are GB/T 2260 division codes with validity dates, because divisions change: in 2020 崇川 and 港闸 became 320613
and 海门市 became 海门区 320614. The built-in table carries Nantong's chain; an operator loads the own one as CSV.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from protocols.errors import BadSchemaError, NotFoundError
from protocols.ids import NATION


class Tier(StrEnum):
    """One of the four tiers, top first."""

    NATIONAL = "national"
    PROVINCIAL = "provincial"
    CITY = "city"
    COUNTY = "county"


ORDER = (Tier.NATIONAL, Tier.PROVINCIAL, Tier.CITY, Tier.COUNTY)


@dataclass(frozen=True, slots=True)
class Centre:
    """One command centre. `valid_to` is the last day on which the code is in force, None = still."""

    code: str
    name: str
    name_en: str
    tier: Tier
    parent: str | None
    valid_from: date = date(1949, 10, 1)
    valid_to: date | None = None

    def valid_on(self, day: date) -> bool:
        """Tell whether the code was in force on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


_2020 = date(2020, 7, 1)
_BEFORE = date(2020, 6, 30)
_COUNTY, _CITY = Tier.COUNTY, "320600"
NANTONG: tuple[Centre, ...] = (
    Centre(NATION, "国家应急指挥中心", "National Emergency Command Centre", Tier.NATIONAL, None),
    Centre("320000", "江苏省", "Jiangsu Province", Tier.PROVINCIAL, NATION),
    Centre("320600", "南通市", "Nantong City", Tier.CITY, "320000"),
    Centre("320612", "通州区", "Tongzhou District", _COUNTY, _CITY, date(2009, 7, 1)),
    Centre("320613", "崇川区", "Chongchuan District", _COUNTY, _CITY, _2020),
    Centre("320614", "海门区", "Haimen District", _COUNTY, _CITY, _2020),
    Centre("320623", "如东县", "Rudong County", _COUNTY, _CITY),
    Centre("320681", "启东市", "Qidong City", _COUNTY, _CITY),
    Centre("320682", "如皋市", "Rugao City", _COUNTY, _CITY),
    Centre("320685", "海安市", "Hai'an City", _COUNTY, _CITY, date(2018, 5, 1)),
    Centre("320602", "崇川区", "Chongchuan District (before 2020)", _COUNTY, _CITY, valid_to=_BEFORE),
    Centre("320611", "港闸区", "Gangzha District", _COUNTY, _CITY, valid_to=_BEFORE),
    Centre("320684", "海门市", "Haimen City", _COUNTY, _CITY, valid_to=_BEFORE),
)


class CentreTable:
    """The tree of centres. Lookups raise NotFoundError for a code that no row bears."""

    def __init__(self, centres: Iterable[Centre]) -> None:
        self._by_code = {centre.code: centre for centre in centres}
        self._paths: dict[str, tuple[str, ...]] = {}
        for centre in self._by_code.values():
            if centre.parent is not None and centre.parent not in self._by_code:
                raise BadSchemaError(f"centre {centre.code}: parent {centre.parent} is not in the table")
            self._check_tier(centre)

    def _check_tier(self, centre: Centre) -> None:
        if centre.parent is None:
            return
        parent = self._by_code[centre.parent]
        if ORDER.index(parent.tier) >= ORDER.index(centre.tier):
            raise BadSchemaError(
                f"centre {centre.code} ({centre.tier}) cannot stand below {parent.code} ({parent.tier})"
            )

    def __contains__(self, code: str) -> bool:
        return code in self._by_code

    def __iter__(self) -> Iterator[Centre]:
        return iter(self._by_code.values())

    def __getitem__(self, code: str) -> Centre:
        try:
            return self._by_code[code]
        except KeyError:
            raise NotFoundError(f"no centre bears the code {code}; add it to the table of centres") from None

    def path(self, code: str) -> tuple[str, ...]:
        """Return the codes from the top down to `code`, both included."""
        if (known := self._paths.get(code)) is not None:
            return known
        found: list[str] = []
        at: str | None = code
        while at is not None:
            found.append(at)
            at = self[at].parent
        path = self._paths[code] = tuple(reversed(found))
        return path

    def children(self, code: str, day: date) -> tuple[Centre, ...]:
        """Return the centres directly below `code` that are in force on `day`, in order of their codes."""
        below = (c for c in self._by_code.values() if c.parent == code and c.valid_on(day))
        return tuple(sorted(below, key=lambda c: c.code))

    def subtree(self, code: str, day: date) -> tuple[Centre, ...]:
        """Return `code` and all centres below it that are in force on `day`, depth first."""
        found = [self[code]]
        for child in self.children(code, day):
            found.extend(self.subtree(child.code, day))
        return tuple(found)

    def covers(self, upper: str, code: str) -> bool:
        """Tell whether `code` is `upper` itself or lies below it."""
        return code in self and upper in self.path(code)

    def next_hop(self, here: str, target: str) -> str | None:
        """Return the direct child of `here` on the way to `target`, or None where `target` is not below."""
        if not self.covers(here, target) or here == target:
            return None
        path = self.path(target)
        return path[path.index(here) + 1]


def load_centres(text: str) -> CentreTable:
    """Read the operator's table (CSV: code,name,name_en,tier,parent[,valid_from,valid_to]); raises BadSchemaError."""
    rows: list[Centre] = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))), start=2):
        try:
            rows.append(
                Centre(
                    code=_code(row["code"]),
                    name=row["name"].strip(),
                    name_en=(row.get("name_en") or row["name"]).strip(),
                    tier=Tier(row["tier"].strip()),
                    parent=_code(row["parent"]) if row["parent"].strip() else None,
                    valid_from=_day(row.get("valid_from")) or date(1949, 10, 1),
                    valid_to=_day(row.get("valid_to")),
                )
            )
        except (KeyError, ValueError, AttributeError) as error:
            raise BadSchemaError(f"table of centres, line {number}: {error}") from None
    return CentreTable(rows)


def _code(text: str) -> str:
    code = text.strip()
    if len(code) != 6 or not code.isdigit():
        raise ValueError(f"{code!r} is not a six-digit division code")
    return code


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text.strip()) if text and text.strip() else None
