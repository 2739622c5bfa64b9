"""The judge as a program: good news about honest tiers, and a failing exit for each planted fault."""

import json

import pytest

from gateway.demo.check import Judge
from tests.support.paper_tiers import PaperTiers

SETTLE_S = 4


@pytest.fixture
async def tiers():
    async with PaperTiers().serve() as paper:
        yield paper


async def judged(paper: PaperTiers, tmp_path, *orders) -> tuple[int, dict]:
    places = tmp_path / "demo.json"
    places.write_text(json.dumps(paper.places()))
    judge = await Judge.start(places, tmp_path / "judge.log", seed=1)
    await judge.ask("begin")
    for order in orders:
        await judge.ask(**order)
    verdict = await judge.ask("verdict")
    return await judge.finish(), verdict


ALARMS = ({"do": "alarms", "count": 30, "rate": 200.0}, {"do": "settle", "limit_s": SETTLE_S})
PICTURE = ({"do": "pictures", "code": "000000", "streams": ["320681/room"], "joins": 2},)


async def test_honest_tiers_pass(tiers, tmp_path):
    code, verdict = await judged(tiers, tmp_path, *ALARMS, *PICTURE)
    assert verdict["faults"] == []
    assert code == 0
    assert verdict["figures"]["alarms_acknowledged"] == 30
    assert verdict["figures"]["samples_first_picture_tier4_p95_s"] == 2
    assert "first_picture_tier4_max_s" in verdict["figures"], "two joins make no percentile"


async def test_a_planted_loss_is_found(tiers, tmp_path):
    tiers.drop = {7}
    code, verdict = await judged(tiers, tmp_path, *ALARMS)
    assert code == 1
    assert verdict["figures"]["alarms_lost"] >= 1
    assert any("000000" in fault and "lost" in fault for fault in verdict["faults"])


async def test_a_planted_double_is_found(tiers, tmp_path):
    tiers.double = {7}
    code, verdict = await judged(tiers, tmp_path, *ALARMS)
    assert code == 1
    assert verdict["figures"]["alarms_doubled"] >= 1


async def test_a_planted_false_picture_is_found(tiers, tmp_path):
    tiers.show = {"320681": "320682"}
    code, verdict = await judged(tiers, tmp_path, *PICTURE)
    assert code == 1
    assert any("shows 320682" in fault for fault in verdict["faults"])


async def test_a_judge_that_is_cut_short_is_not_good_news(tiers, tmp_path):
    places = tmp_path / "demo.json"
    places.write_text(json.dumps(tiers.places()))
    judge = await Judge.start(places, tmp_path / "judge.log", seed=1)
    await judge.ask("begin")
    assert await judge.finish() == 1
