"""Who may issue what. Authority is configured data; the ban on weather signals is law and cannot be configured away.

气象灾害防御条例, article 30: signals of meteorological disasters come to the public from meteorological stations alone.
So a draft is refused by its code, by its name, and where its text speaks of a tornado (龙卷): what a station said of
one is passed on as its own warning, never written anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.cap import colour_named
from protocols.errors import NotIssuerError, WarningIncompleteError, WeatherSignalError
from protocols.event_codes import classify, is_weather, mentions_tornado
from protocols.warning import WarningContent, missing


@dataclass(frozen=True, slots=True)
class Issuer:
    """A unit that may issue; `events` are prefixes of event codes, `gravest` the gravest colour (1 is red)."""

    unit: str
    sender: str
    events: tuple[str, ...]
    gravest: int


def issuer_of(unit: str, content: WarningContent, issuers: Sequence[Issuer]) -> Issuer:
    """Return the unit's entry; raises WeatherSignalError, NotIssuerError."""
    event = classify(content.event_code, content.event)
    if is_weather(event):
        raise WeatherSignalError(
            f"{event.name} {event.code or ''} is a weather signal: only a meteorological station issues it "
            "(气象灾害防御条例 art. 30); pass on the station's own warning by CAP"
        )
    if mentions_tornado(content.headline, content.description, content.instruction):
        raise WeatherSignalError(
            "the text speaks of a tornado (龙卷): pass on the meteorological station's own warning"
        )
    mine = [one for one in issuers if one.unit == unit]
    if not mine:
        raise NotIssuerError(f"{unit} is not among the issuers; see warning.issuers")
    fitting = [one for one in mine if (event.code or "").startswith(one.events)]
    if not fitting:
        raise NotIssuerError(f"{unit} may not issue {event.name} {event.code or ''}; see warning.issuers")
    able = next((one for one in fitting if content.colour >= one.gravest), None)
    if able is None:
        raise NotIssuerError(f"{unit} may not issue this colour: report to the tier above, which issues it")
    return able


def check_complete(content: WarningContent) -> None:
    """Raise WarningIncompleteError naming what article 64 demands and the draft lacks."""
    empty = missing(content)
    if empty:
        raise WarningIncompleteError(f"fill in before review (突发事件应对法 art. 64): {', '.join(empty)}")
    named = colour_named(content.headline)
    if named not in {None, content.colour}:
        raise WarningIncompleteError("the headline names another colour than the level: readers go by the headline")
    if content.expires is not None and content.onset is not None and content.expires <= content.onset:
        raise WarningIncompleteError("expires lies before onset")
