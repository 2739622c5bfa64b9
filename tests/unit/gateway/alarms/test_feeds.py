"""Feeds are read over real HTTP: once per change, from configured hosts alone, and their failing is told."""

from contextlib import asynccontextmanager

import pytest

from gateway.alarms.bulletins import Bulletins
from gateway.alarms.feeds import FEED_BYTES, Feeds
from gateway.alarms.service import Wanted
from gateway.settings import FeedSection
from protocols.alarm import Condition
from tests.support.cap import alert, reference
from tests.support.escalation_stage import escalation_stage
from tests.support.feed_server import feed, feed_server, link

T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


class Desk:
    """The watcher, the server it asks, and the alarms room."""

    def __init__(self, stage, server, **setting):
        self.stage, self.server = stage, server
        self.setting = FeedSection(name="qixiang", url=server.url("/cap.atom"), **setting)
        self.restart()

    def restart(self):
        bulletins = Bulletins(self.stage.store, self.stage.local, self.stage.alarms._area, self.stage.metrics)
        metrics = self.stage.metrics
        self.feeds = Feeds([self.setting], bulletins, self.stage.alarms, self.stage.clock, metrics)

    async def look(self, times=1):
        for _ in range(times):
            await self.feeds.look_at_all()

    async def standing(self):
        page = await self.stage.alarms.page(Wanted(condition=Condition.ACTIVE))
        return sorted(
            one["alarm_key"] if one["event_type"] == "dev.feed" else one["event_type"] for one in page["items"]
        )

    def entries(self, outcome):
        name = f'silian_warning_feed_entries_total{{feed="qixiang",outcome="{outcome}"}} '
        found = [line for line in self.stage.metrics.render().decode().splitlines() if line.startswith(name)]
        return float(found[0].removeprefix(name)) if found else 0.0


@asynccontextmanager
async def desk(tmp_path, **setting):
    async with escalation_stage(tmp_path) as stage, feed_server() as server:
        yield Desk(stage, server, **setting)


async def test_a_warning_is_fetched_once_and_an_unchanged_feed_costs_a_conditional_request(tmp_path):
    async with desk(tmp_path) as at:
        at.server.pages = {"/cap.atom": feed(("a", T1, link("/a.xml"))), "/a.xml": alert()}
        await at.look(3)
        assert await at.standing() == ["11B03"]
        assert (at.server.times("/cap.atom"), at.server.times("/cap.atom", 304), at.server.times("/a.xml")) == (1, 2, 1)
        end = alert(identifier="z", type="Cancel", references=reference())
        at.server.pages |= {"/cap.atom": feed(("z", T2, link("/z.xml")), ("a", T1, link("/a.xml"))), "/z.xml": end}
        await at.look()
        assert await at.standing() == []
        assert at.server.times("/a.xml") == 1


async def test_a_restart_reads_all_again_and_changes_nothing(tmp_path):
    async with desk(tmp_path) as at:
        at.server.pages = {"/cap.atom": feed(("a", T1, link("/a.xml"))), "/a.xml": alert()}
        await at.look()
        at.restart()
        await at.look()
        (item,) = (await at.stage.alarms.page(Wanted()))["items"]
        assert (item["count"], at.server.times("/a.xml")) == (1, 2)


async def test_an_entry_that_cannot_be_fetched_is_asked_for_again(tmp_path):
    async with desk(tmp_path) as at:
        at.server.pages = {"/cap.atom": feed(("a", T1, link("/a.xml"))), "/a.xml": alert()}
        at.server.status["/a.xml"] = 503
        await at.look()
        assert at.entries("unreachable") == 1
        at.server.status.clear()
        await at.look()
        assert await at.standing() == ["11B03"]


async def test_hosts_that_nobody_configured_are_never_asked(tmp_path):
    async with desk(tmp_path) as at, feed_server() as foreign:
        foreign.pages["/a.xml"] = alert()
        at.server.pages["/cap.atom"] = feed(
            ("a", T1, link(foreign.url("/a.xml"))), ("f", T2, link("file:///etc/hostname"))
        )
        await at.look()
        assert foreign.asked == []
        assert at.entries("foreign_host") == 2
        assert await at.standing() == []


async def test_a_named_further_host_is_asked(tmp_path):
    async with desk(tmp_path, hosts=("127.0.0.1",)) as at, feed_server() as other:
        other.pages["/a.xml"] = alert()
        at.server.pages["/cap.atom"] = feed(("a", T1, link(other.url("/a.xml"))))
        await at.look()
        assert await at.standing() == ["11B03"]


async def test_redirects_are_not_followed(tmp_path):
    async with desk(tmp_path) as at, feed_server() as foreign:
        at.server.status["/cap.atom"] = 302
        at.server.headers["Location"] = foreign.url("/cap.atom")
        await at.look()
        assert foreign.asked == []


@pytest.mark.parametrize(
    ("page", "headers"),
    [
        (b"<feed", {}),
        (
            b'<!DOCTYPE f [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><feed xmlns="http://www.w3.org/2005/Atom">&b;</feed>',
            {},
        ),
        (b" " * (FEED_BYTES + 1), {}),
        (feed(), {"Content-Encoding": "gzip"}),
    ],
    ids=["cut", "entities", "large", "packed"],
)
async def test_a_feed_that_fails_three_times_is_an_alarm_until_it_is_read_again(tmp_path, page, headers):
    async with desk(tmp_path) as at:
        at.server.pages["/cap.atom"], at.server.headers = page, headers
        await at.look(2)
        assert await at.standing() == []
        await at.look()
        assert await at.standing() == ["feed/qixiang/failing"]
        at.server.pages["/cap.atom"], at.server.headers = feed(updated=at.stage.clock.now().isoformat()), {}
        at.restart()
        await at.look()
        assert await at.standing() == []


async def test_a_feed_that_stands_still_is_an_alarm(tmp_path):
    async with desk(tmp_path, stale_after_s=3600) as at:
        at.server.pages["/cap.atom"] = feed(updated=at.stage.clock.now().isoformat())
        await at.look()
        assert await at.standing() == []
        at.stage.clock.step(3601)
        await at.look()
        assert await at.standing() == ["feed/qixiang/still"]
        at.server.pages["/cap.atom"] = feed(updated=at.stage.clock.now().isoformat())
        await at.look()
        assert await at.standing() == []


async def test_what_is_refused_or_over_is_counted_and_not_asked_for_again(tmp_path):
    async with desk(tmp_path) as at:
        old = alert(identifier="old", expires="<expires>2025-12-31T00:00:00+08:00</expires>")
        pages = {"/bad.xml": b"<alert/>", "/old.xml": old, "/end.xml": alert(type="Cancel", references="x,y,z")}
        entries = [(path, T1, link(path)) for path in pages] + [("none", T1, "<title>x</title>")]
        at.server.pages = {"/cap.atom": feed(*entries), **pages}
        await at.look()
        assert (at.entries("refused"), at.entries("expired")) == (3, 1)
        at.server.pages["/cap.atom"] += b" "
        await at.look()
        assert [at.server.times(path) for path in pages] == [1, 1, 1]
