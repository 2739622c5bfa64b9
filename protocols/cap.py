"""Public warnings: what a CAP 1.2 message says (OASIS), apart from its XML, and what it means as an alarm.

Colours: red, orange, yellow, blue are levels I to IV (突发事件应对法). A colour named in the message decides (红色预警,
parameter `ColorCode`); else the CAP severity: Extreme, Severe, Moderate, Minor.
"""

import re
from enum import StrEnum
from itertools import pairwise

from pydantic import AwareDatetime, BaseModel, ConfigDict

from protocols.alarm import Severity


class CapStatus(StrEnum):
    """CAP `status`."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"
    DRAFT = "Draft"


class CapType(StrEnum):
    """CAP `msgType`."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class CapReference(BaseModel):
    """One of the messages that an update or cancel speaks of."""

    model_config = ConfigDict(frozen=True)

    sender: str
    identifier: str


class CapInfo(BaseModel):
    """One language of the message."""

    model_config = ConfigDict(frozen=True)

    language: str = "en-US"
    event: str
    severity: str
    headline: str = ""
    description: str = ""
    instruction: str = ""
    sender_name: str = ""
    parameters: dict[str, str] = {}
    event_code: str | None = None
    areas: tuple[str, ...] = ()
    geocodes: tuple[str, ...] = ()
    polygons: tuple[str, ...] = ()
    onset: AwareDatetime | None = None
    expires: AwareDatetime | None = None


class CapMessage(BaseModel):
    """One CAP alert element."""

    model_config = ConfigDict(frozen=True)

    identifier: str
    sender: str
    sent: AwareDatetime
    status: CapStatus
    type: CapType
    scope: str
    references: tuple[CapReference, ...] = ()
    infos: tuple[CapInfo, ...] = ()
    note: str = ""

    @property
    def drill(self) -> bool:
        """Tell whether it must never reach the public."""
        return self.status in (CapStatus.EXERCISE, CapStatus.TEST)

    @property
    def info(self) -> CapInfo | None:
        """Return the block to show: Chinese where there is one, else the first."""
        chinese = (info for info in self.infos if info.language.lower().startswith("zh"))
        return next(chinese, self.infos[0] if self.infos else None)


_COLOURS = {
    Severity.RED: ("红色", "red"),
    Severity.ORANGE: ("橙色", "orange"),
    Severity.YELLOW: ("黄色", "yellow"),
    Severity.BLUE: ("蓝色", "blue"),
}
_SEVERITIES = {
    "extreme": Severity.RED,
    "severe": Severity.ORANGE,
    "moderate": Severity.YELLOW,
    "minor": Severity.BLUE,
}
_CODE = re.compile(r"^\d{6}")


def colour_named(text: str) -> Severity | None:
    """Return the level of the Chinese colour word in a text, the gravest one where there are several."""
    return next((severity for severity, (word, _) in _COLOURS.items() if word in text), None)


def severity_of(info: CapInfo) -> Severity:
    """Return the level: a Chinese colour word in the headline, a colour parameter, else the CAP severity.

    `Unknown` becomes blue: shown, and never louder than what its sender says.
    """
    named = colour_named(f"{info.headline} {info.event}")
    if named is not None:
        return named
    for name, value in info.parameters.items():
        if "colo" in name.lower():
            for severity, (word, english) in _COLOURS.items():
                if word in value or value.strip().lower() == english:
                    return severity
    return _SEVERITIES.get(info.severity.lower(), Severity.BLUE)


def polygon_of(text: str) -> tuple[tuple[float, float], ...]:
    """Read a CAP polygon: pairs `latitude,longitude`, the first repeated at the end; () where it is not one."""
    pairs = [pair.split(",") for pair in text.split()]
    try:
        points = tuple((float(lat), float(lon)) for lat, lon in pairs)
    except ValueError:
        return ()
    true = len(points) >= 4 and points[0] == points[-1] and all(abs(a) <= 90 and abs(b) <= 180 for a, b in points)
    return points if true else ()


def inside(point: tuple[float, float], polygon: tuple[tuple[float, float], ...]) -> bool:
    """Tell whether a point (latitude, longitude) lies within a polygon, by the even-odd rule."""
    lat, lon = point
    found = False
    for (lat1, lon1), (lat2, lon2) in pairwise(polygon):
        if (lat1 > lat) != (lat2 > lat) and lon < (lon2 - lon1) * (lat - lat1) / (lat2 - lat1) + lon1:
            found = not found
    return found


def division_codes(info: CapInfo) -> tuple[str, ...]:
    """Return the six-digit division codes that the area names, in order."""
    found = (match.group() for code in info.geocodes if (match := _CODE.match(code)))
    return tuple(dict.fromkeys(found))
