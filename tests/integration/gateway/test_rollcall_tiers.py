"""Roll calls through real tiers: lanes, results that flow up, a random check from the top, a tier that is cut off."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from edge_agent.app import Agent
from edge_agent.settings import parse as agent_settings
from gateway.app import Gateway
from gateway.demo.cutline import CutLine
from gateway.ports.media import StreamState
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.service import Planned
from protocols.errors import WrongMomentError
from protocols.health import LinkStatus
from protocols.rollcall import PRESENT, Mode, PointState, RollCallKind, SessionState
from tests.support.chain import settings, until

pytestmark = [pytest.mark.external, pytest.mark.timeout(400)]
COUNTIES = ("320612", "320623")
MISSED = "320685"
"""A county that has no box here: a call with it stays in its make-up."""
QUICK = {
    "answer_within_s": 20.0, "observe_s": 3.0, "picture_within_s": 30.0, "presence_s": 40.0, "makeup_every_s": 2.0
}  # fmt: skip


class Country:
    """Nation, province and city in one process, and two county boxes that are the real agent."""

    def __init__(self, directory: Path, stack: contextlib.AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.gateways: dict[str, Gateway] = {}
        self.line: CutLine | None = None

    async def tier(self, code: str, upper: str | None = None, *, over_line: bool = False) -> Gateway:
        more = {"rollcall": dict(QUICK)}
        if upper is not None:
            above = self.gateways[upper]
            made = await above.enrolment.invite(code, "test")
            more["upstream"] = {"url": above.base_url, "token": str(made.token)}
            if over_line:
                self.line = CutLine(0, above.broker.port)
                await self.line.mend()
                self._stack.push_async_callback(self.line.cut)
                more["upstream"]["broker"] = f"127.0.0.1:{self.line.port}"
        self.gateways[code] = await self._stack.enter_async_context(Gateway(settings(code, self._directory, **more)))
        return self.gateways[code]

    async def county(self, code: str) -> None:
        city = self.gateways["320600"]
        made = await city.enrolment.invite(f"{code}-box", "test")
        wanted = {
            "node": {"id": f"{code}-box"},
            "gateway": {"url": city.base_url, "enrolment_token": str(made.token)},
            "state": {"dir": self._directory / code, "quota_mb": 16, "ballast_mb": 1},
            "management": {"port": 0},
            "cameras": [{"name": "room", "title": "指挥大厅", "kind": "testcard"}],
        }
        agent = Agent(agent_settings(wanted))
        running = asyncio.ensure_future(agent.run())
        await agent.ready.wait()

        async def end() -> None:
            agent.stop()
            await running

        self._stack.push_async_callback(end)
        for gateway in self.gateways.values():
            await until(lambda g=gateway: _up(g, f"{code}-box") and g.registry.owner(f"{code}/room"))


def _up(gateway: Gateway, node: str) -> bool:
    link = gateway.registry.link(node)
    return link is not None and link.status is LinkStatus.UP


@pytest.fixture
async def country(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        made = Country(tmp_path, stack)
        await made.tier("000000")
        await made.tier("320000", "000000")
        await made.tier("320600", "320000", over_line=True)
        for code in COUNTIES:
            await made.county(code)
        yield made


def _point(call, centre):
    return next(point for point in call.points if point.centre == centre)


async def _ended(gateway, roll_call_id):
    async def over():
        call = await gateway.rollcall.get(roll_call_id)
        return call if call.record.ended_at is not None else None

    return await until(over, 120)


async def _relay(gateway, root_id):
    async def known():
        return next((c for c in await gateway.rollcall.page() if c.record.upper_id == root_id), None)

    return await until(known)


async def test_the_nation_asks_through_two_tiers_and_results_flow_up_while_it_runs(country):
    nation, province, city = (country.gateways[code] for code in ("000000", "320000", "320600"))
    patient = Profile(**QUICK | {"observe_s": 8.0}).model_dump(mode="json")
    call = await nation.rollcall.plan(Planned("minister", centres=COUNTIES, rules=patient))
    assert {point.delegate for point in call.points} == {"320000"}
    below = await _relay(city, call.record.id)
    assert (below.record.kind, below.record.upper_node) == (RollCallKind.RELAY, "320000")
    assert {point.delegate for point in below.points} == {None}
    assert {point.delegate for point in (await _relay(province, call.record.id)).points} == {"320600"}

    async def under_way():
        whole = await nation.rollcall.get(call.record.id)
        states = {point.state for point in whole.points}
        return whole.record.ended_at is None and bool(states - {PointState.PENDING})

    await until(under_way, 60)

    async def numbered():
        try:
            await nation.rollcall.challenge(call.record.id, COUNTIES[0], confirmed=None, by="minister")
        except WrongMomentError:
            return None  # it is not looked at yet
        return _point(await nation.rollcall.get(call.record.id), COUNTIES[0]).challenge

    number = await until(numbered, 60)
    assert _point(await city.rollcall.get(below.record.id), COUNTIES[0]).challenge == number
    done = await _ended(nation, call.record.id)
    assert {point.state for point in done.points} <= PRESENT
    own = await city.rollcall.get(below.record.id)
    for centre in COUNTIES:
        told, seen = _point(done, centre), _point(own, centre)
        assert (told.state, told.still, told.answered_by) == (seen.state, seen.still, seen.answered_by)
        assert told.still is not None
        assert told.score == seen.score
    middle = await _ended(province, (await _relay(province, call.record.id)).record.id)
    assert middle.present == 2
    assert not await city.store.quarantined()


async def test_a_random_check_from_the_top_is_seen_by_all_tiers_between(country):
    nation, province, city = (country.gateways[code] for code in ("000000", "320000", "320600"))
    own = await city.rollcall.plan(Planned("zhang", centres=COUNTIES))
    call = await nation.rollcall.plan(Planned("minister", RollCallKind.RANDOM, centres=["320623"]))
    began = time.monotonic()
    for gateway in (province, city):
        (one,) = await until(lambda g=gateway: g.rollcall.upper())
        assert (one.by_centre, one.centres, one.kind) == ("000000", ("320623",), "random")
    told = time.monotonic() - began
    with pytest.raises(WrongMomentError):
        await city.rollcall.start(by="zhang", centres=["320623"])

    async def rung():
        return (await nation.rollcall.get(call.record.id)).points[0].answered_at

    await until(rung)
    reached = time.monotonic() - began
    print(f"tiers told after {told:.1f} s, county answered after {reached:.1f} s; load {os.getloadavg()[0]:.0f}")
    # The county's picture is decoded here, three tiers above it, while it is watched.
    await until(lambda: nation.media.state("320623/room") is StreamState.LIVE)
    done = await _ended(nation, call.record.id)
    (point,) = done.points
    assert point.delegate is None, "it is asked straight from the top"
    assert point.state in PRESENT, point
    assert point.first_frame_s is not None
    assert (await nation.rollcall.still(call.record.id, "320623")).startswith(b"\xff\xd8")
    for gateway in (province, city):
        await until(lambda g=gateway: not g.rollcall.upper())
    result = time.monotonic() - began
    print(f"first picture {point.first_frame_s:.1f} s after the answer, result at the top after {result:.1f} s")
    ours = await _ended(city, own.record.id)
    assert {point.state for point in ours.points} <= PRESENT, "the city's own call went on afterwards"
    assert [len(point.holds) for point in ours.points] == [0, 1], "nobody else gave way"


async def test_the_ministry_takes_a_county_out_of_a_call_that_the_city_runs_for_the_province(country):
    nation, province, city = (country.gateways[code] for code in ("000000", "320000", "320600"))
    patient = Profile(**QUICK | {"observe_s": 12.0}).model_dump(mode="json")
    ordered = await province.rollcall.plan(Planned("governor", centres=COUNTIES, rules=patient))
    relayed = await _relay(city, ordered.record.id)

    async def watched():
        return _point(await city.rollcall.get(relayed.record.id), "320623").state is PointState.VERIFYING

    await until(watched)
    began = time.monotonic()
    check = await nation.rollcall.plan(Planned("minister", RollCallKind.RANDOM, centres=["320623"]))
    for gateway in (province, city):
        (one,) = await until(lambda g=gateway: g.rollcall.upper())
        assert (one.by_centre, one.centres) == ("000000", ("320623",))
    told = time.monotonic() - began
    held = {}
    for gateway, call in ((province, ordered), (city, relayed)):

        async def lent(g=gateway, number=call.record.id):
            found = await g.rollcall.get(number)
            return found if any(point.lent for point in found.points) else None

        found = held[gateway] = await until(lent)
        assert {point.centre for point in found.points if point.lent} == {"320623"}, "nobody else gives way"
    lent_at = _point(held[city], "320623").holds[0][0]
    done = await _ended(nation, check.record.id)
    assert done.points[0].state in PRESENT, done.points
    print(f"tiers told after {told:.1f} s; load {os.getloadavg()[0]:.0f}")
    below, above = await _ended(city, relayed.record.id), await _ended(province, ordered.record.id)
    for call in (below, above):
        assert {point.state for point in call.points} <= PRESENT, call.points
        assert [len(point.holds) for point in call.points] == [0, 1]
        assert not any(point.lent or point.late for point in call.points)
        assert call.record.state is SessionState.REVIEWING
    seen, heard = _point(below, "320623"), _point(above, "320623")
    assert seen.settled_at > seen.holds[0][1] > lent_at, "it was asked again once it was back"
    assert (heard.state, heard.still, heard.score) == (seen.state, seen.still, seen.score)
    assert (await city.rollcall.still(relayed.record.id, "320623")).startswith(b"\xff\xd8")
    assert not await province.rollcall.revisions(ordered.record.id), "no verdict was taken back"


async def test_a_county_that_the_city_asked_is_tested_again_straight_from_the_province(country):
    province = country.gateways["320000"]
    call = await province.rollcall.plan(Planned("governor", mode=Mode.PARALLEL, centres=[*COUNTIES, MISSED]))

    async def taken():
        if _point(await province.rollcall.get(call.record.id), "320612").state not in PRESENT:
            return False
        try:
            await province.rollcall.retest(call.record.id, "320612", by="governor")
        except WrongMomentError:
            return False  # the result is written, and the call has not heard of it yet
        return True

    await until(taken, 90)

    async def again():
        point = _point(await province.rollcall.get(call.record.id), "320612")
        return point if point.delegate is None and point.settled_at is not None else None

    point = await until(again, 90)
    assert (point.state in PRESENT, point.attempts) == (True, 2)
    await province.rollcall.act(call.record.id, "finish", by="governor")


async def test_a_tier_that_is_cut_off_tells_its_result_later_marked_late(country):
    province, city = country.gateways["320000"], country.gateways["320600"]
    call = await province.rollcall.plan(Planned("governor", centres=COUNTIES))
    below = await _relay(city, call.record.id)
    await country.line.cut()
    await _ended(city, below.record.id)
    await until(lambda: not _up(province, "320600"))
    await province.rollcall.act(call.record.id, "finish", by="governor")
    closed = await _ended(province, call.record.id)
    assert {point.state for point in closed.points} == {PointState.UNREACHABLE}
    assert all("320600" in point.note for point in closed.points)
    await country.line.mend()

    async def heard():
        late = await province.rollcall.get(call.record.id)
        return late if late.present == 2 else None

    late = await until(heard, 60)
    assert [point.late for point in late.points] == [True, True]
    revisions = await province.rollcall.revisions(call.record.id)
    assert {(one.before["state"], one.after["late"]) for one in revisions} == {("unreachable", True)}
    assert len(revisions) == 2, "each result came once"
