"""Event classes of public warnings: the five-character codes, and the Chinese names that decide.

The national event classification gives meteorological events the family `11B` and marine ones `11E`. Feeds in the wild
put short codes of the weather service under the same prefix (`1003`), or a code that contradicts the text: **where code
and Chinese name disagree, the name decides**. A code that the table lacks passes as it is, with the name it came with.

Weather signals are for the public only when a meteorological station issued them (气象灾害防御条例, article 30).
"""

import re
from dataclasses import dataclass
from typing import Final

EVENTS: Final[dict[str, str]] = {
    "11B01": "台风",
    "11B02": "龙卷风",
    "11B03": "暴雨",
    "11B04": "暴雪",
    "11B05": "寒潮",
    "11B06": "大风",
    "11B07": "沙尘暴",
    "11B09": "高温",
    "11B14": "雷电",
    "11B15": "冰雹",
    "11B16": "霜冻",
    "11B17": "大雾",
    "11B19": "霾",
    "11B20": "雷雨大风",
    "11B21": "道路结冰",
    "11B22": "干旱",
    "11B25": "森林火险",
    "11B29": "重污染",
    "11B31": "强对流",
    "11B36": "渍涝风险",
    "11B37": "地质灾害气象风险",
    "11B43": "雷暴",
    "11B58": "雷暴大风",
    "11E02": "风暴潮",
    "11E06": "海浪",
}
_ALIASES: Final = {
    "龙卷": "11B02",
    "灰霾": "11B19",
    "重污染天气": "11B29",
    "强对流天气": "11B31",
    "渍涝": "11B36",
    "地质灾害": "11B37",
}
_CODES: Final = {name: code for code, name in EVENTS.items()} | _ALIASES
_TAIL = re.compile(r"(红色|橙色|黄色|蓝色|[ⅠⅡⅢⅣ]级|I{1,3}级|IV级)?(气象灾害)?(预警)?(信号|信息)?$")
_SHORT = re.compile(r"^10(\d\d)$")
WEATHER: Final = "11B"
"""The family that only meteorological stations issue to the public."""
STRONG_CONVECTION: Final = "11B31"
TORNADO_MENTIONED: Final = "tornado_mentioned"
"""Event type of the flag that a text speaks of a tornado, whatever it warns of by its name."""
_TORNADO = "龙卷"


@dataclass(frozen=True, slots=True)
class EventClass:
    """What a warning warns of; `code` is None where neither name nor code is known."""

    code: str | None
    name: str


def classify(code: str | None, name: str) -> EventClass:
    """Return the event class: the name's own where the table has it, else the code as it came."""
    bare = _TAIL.sub("", name.strip()).strip()
    by_name = _CODES.get(bare)
    if by_name is not None:
        return EventClass(by_name, EVENTS[by_name])
    given = _normal(code)
    return EventClass(given, bare or EVENTS.get(given or "", ""))


def _normal(code: str | None) -> str | None:
    given = (code or "").strip().upper()
    short = _SHORT.match(given)
    return f"{WEATHER}{short[1]}" if short else given or None


def is_weather(event: EventClass) -> bool:
    """Tell whether only a meteorological station may issue it to the public; by code, or by any name of the table."""
    if (event.code or "").startswith(WEATHER):
        return True
    return any(name in event.name for name, code in _CODES.items() if code.startswith(WEATHER))


def mentions_tornado(*texts: str) -> bool:
    """Tell whether a text speaks of a tornado: 局地或现弱龙卷 stands inside warnings of another name."""
    return any(_TORNADO in text for text in texts)
