"""Who above may see a camera: its owner says it in the catalogue, every gateway on the path keeps to it.

**A picture crosses no link towards a tier that it is not shown to**, whoever asks. The camera itself (its name, its
verdict) is announced all the same, so that everybody sees that there is something which is not shown.
"""

from enum import StrEnum

from protocols.tiers import ORDER, Tier


class Share(StrEnum):
    """The highest tier that may see a camera's picture."""

    COUNTY = "county"
    CITY = "city"
    PROVINCE = "province"
    NATION = "nation"


_HIGHEST = {
    Share.COUNTY: Tier.COUNTY,
    Share.CITY: Tier.CITY,
    Share.PROVINCE: Tier.PROVINCIAL,
    Share.NATION: Tier.NATIONAL,
}


def shown_to(share: Share, tier: Tier) -> bool:
    """Tell whether a camera that is shared so may be seen by a gateway of `tier`."""
    return ORDER.index(tier) >= ORDER.index(_HIGHEST[share])
