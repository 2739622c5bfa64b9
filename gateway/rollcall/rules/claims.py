"""Who has a county while several tiers ask for it (domain.md 3.1, pre-emption).

**The highest asker has it; of two that stand on one tier, none takes it from the other.** A call that a gateway runs
for the tier above stands where the people stand who began it, not where the gateway does.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from protocols.tiers import ORDER, Tier


@dataclass(frozen=True, slots=True)
class Claim:
    """People of a centre on `tier` ask these centres."""

    tier: Tier
    centres: frozenset[str]


def standing_of(known: Tier | None, own: Tier) -> Tier:
    """Return the tier of an asker; one that is in no table here stands right above us: commands come from there."""
    return known if known is not None else ORDER[max(0, ORDER.index(own) - 1)]


def outranks(one: Tier, other: Tier) -> bool:
    """Tell whether `one` stands higher."""
    return ORDER.index(one) < ORDER.index(other)


def taken(tier: Tier, centres: Collection[str], claims: Iterable[Claim]) -> frozenset[str]:
    """Return those of a call's centres that it must lend: `tier` is where its own people stand."""
    higher = [claim.centres for claim in claims if outranks(claim.tier, tier)]
    return frozenset(code for code in centres if any(code in wanted for wanted in higher))
