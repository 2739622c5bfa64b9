"""Bad public warnings, one table for the post and the feed: counted, answered by name, the good ones all taken."""

from pathlib import Path

import pytest

from gateway.alarms.service import Wanted
from protocols.errors import SilianError
from tests.support.bad_warnings import BAD, GOOD
from tests.support.cap import alert, reference
from tests.support.feed_server import feed, link
from tests.unit.gateway.alarms.test_bulletins import office, standing
from tests.unit.gateway.alarms.test_feeds import desk


def count(stage, outcome: str) -> float:
    found = stage.metrics.registry.get_sample_value("silian_cap_messages_total", {"outcome": outcome})
    return found or 0.0


async def test_a_posted_one_is_refused_by_name_and_counted_and_the_next_is_taken(tmp_path: Path) -> None:
    async with office(tmp_path) as (stage, bulletins):
        for number, (name, (body, code)) in enumerate(BAD.items()):
            before = count(stage, code)
            with pytest.raises(SilianError) as refused:
                await bulletins.take(body)
            assert (refused.value.code, count(stage, code)) == (code, before + 1), name
            assert await bulletins.take(alert(identifier=f"good-{number}")), name
        assert count(stage, "taken") == len(BAD)
        assert (await stage.alarms.page(Wanted()))["totals"]["active"] == len(BAD)


async def test_one_of_a_feed_is_counted_and_hides_none_of_its_neighbours(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        entries, pages = [], {}
        for number, (body, _) in enumerate(BAD.values()):
            pages |= {f"/bad{number}.xml": body, f"/good{number}.xml": alert(identifier=f"good-{number}")}
            entries += [
                (f"{kind}{number}", f"2026-01-01T00:00:{number:02}Z", link(f"/{kind}{number}.xml"))
                for kind in ("bad", "good")
            ]
        at.server.pages = {"/cap.atom": feed(*entries), **pages}
        await at.look()
        assert await at.standing() == ["11B03"] * len(BAD)
        assert at.entries("taken") == len(BAD)
        assert sum(at.entries(outcome) for outcome in ("refused", "unreachable", "too_large")) == len(BAD)


async def test_repeats_and_messages_in_the_wrong_order_leave_the_newest_word(tmp_path: Path) -> None:
    async with office(tmp_path) as (stage, bulletins):
        first = await bulletins.take(GOOD)
        assert await bulletins.take(GOOD) == first
        assert count(stage, "repeated") == 1
        update = alert(identifier="u", type="Update", references=reference(), headline="如东县发布暴雨红色预警")
        ids = await bulletins.take(update)
        assert await bulletins.take(GOOD) == first, "a repeat of the old one changes nothing"
        assert await bulletins.take(update) == ids
        assert await standing(stage) == [("11B03", 1, "320623")]
