"""Rules of enrolment: which nodes may stand below a centre, and what a token still opens. Time is an argument."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from protocols.errors import BadIdentityError
from protocols.ids import centre_of, is_gateway
from protocols.tiers import CentreTable


class TokenState(StrEnum):
    """What a token opens: `again` answers the same key once more, because its first answer may have been lost."""

    OPEN = "open"
    AGAIN = "again"
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What is known of a token."""

    node: str
    expires_at: datetime
    used_at: datetime | None
    key_hash: str | None


def judge(token: TokenRow | None, node: str, key_hash: str, now: datetime) -> TokenState:
    """Decide about a token that `node` presents together with a key."""
    if token is None or token.node != node:
        return TokenState.UNKNOWN
    if token.used_at is not None:
        return TokenState.AGAIN if token.key_hash == key_hash and now < token.expires_at else TokenState.USED
    return TokenState.OPEN if now < token.expires_at else TokenState.EXPIRED


def check_node(node: str, own: str, table: CentreTable, day: date) -> None:
    """Raise BadIdentityError unless `node` may link to gateway `own`: an agent of the subtree, or a gateway below."""
    centre = centre_of(node)
    if not table.covers(own, centre):
        raise BadIdentityError(f"{node} does not lie below {own}; enrol it at its own city or county")
    if not table[centre].valid_on(day):
        raise BadIdentityError(f"the code {centre} is no longer in force")
    if is_gateway(node) and centre == own:
        raise BadIdentityError(f"{node} is this gateway itself; an agent's name has a suffix, such as {own}-box")
