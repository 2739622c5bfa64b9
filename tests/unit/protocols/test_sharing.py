"""A camera is seen up to the tier that its owner named, and no higher."""

import pytest

from protocols.health import CameraInfo
from protocols.sharing import Share, shown_to
from protocols.tiers import ORDER, Tier


@pytest.mark.parametrize(
    ("share", "seen_by"),
    [
        (Share.COUNTY, {Tier.COUNTY}),
        (Share.CITY, {Tier.COUNTY, Tier.CITY}),
        (Share.PROVINCE, {Tier.COUNTY, Tier.CITY, Tier.PROVINCIAL}),
        (Share.NATION, set(Tier)),
    ],
)
def test_the_owner_names_the_highest_tier(share: Share, seen_by: set[Tier]) -> None:
    assert {tier for tier in ORDER if shown_to(share, tier)} == seen_by


def test_an_older_agent_shares_with_all() -> None:
    camera = CameraInfo.model_validate({"centre": "320612", "name": "room", "title": "厅", "kind": "rtsp"})
    assert camera.share is Share.NATION
