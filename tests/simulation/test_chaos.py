"""Ten thousand alarms of seven nodes through four chained gateways while brokers, gateways and agents are killed.

The verdict knows three sources only: what each sensor was promised, what each tier's database holds, and nothing of
the code in between.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.chaos import Stage, Tier, build, read

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(400)]

TIERS: dict[str, str | None] = {"000000": None, "320000": "000000", "320600": "320000", "320623": "320600"}
NODES = {
    "320612-box": "320600",
    "320613-box": "320600",
    "320614-box": "320600",
    "320681-box": "320600",
    "320682-box": "320600",
    "320685-box": "320600",
    "320623-box": "320623",
}
CRAMPED = "320685-box"
"""Its spool is too small for what it is asked to keep before its first contact: repeats must fold."""
ALARMS, KILLS, SEED = 10_000, 20, 20261123
PER_NODE = ALARMS // len(NODES) + 1


async def test_every_alarm_arrives_exactly_once_at_every_tier(tmp_path: Path) -> None:
    plan = [
        {
            "name": name,
            "below": below,
            "total": PER_NODE,
            "pace": 40.0,
            "quota": (512 if name == CRAMPED else 262_144) * 1024,
            "first_all": name == CRAMPED,
        }
        for name, below in NODES.items()
    ]
    async with await build(tmp_path, TIERS, plan, hosts=3) as stage:
        async with asyncio.timeout(240):
            await stage.kill_at_random(KILLS, random.Random(SEED), (0.5, 2.0))
            while not stage.done() or not all(settled(stage, tier) for tier in stage.tiers):
                await asyncio.sleep(0.5)
    assert stage.kills() == KILLS
    assert sum(len(stage.accepted(name)) for name in NODES) >= ALARMS
    for tier in stage.tiers:
        judge(stage, tier)
    folded = read(stage.tiers[0].database, f"SELECT count(*) FROM alarm_log WHERE source = '{CRAMPED}'")[0][0]
    assert isinstance(folded, int)
    assert folded < PER_NODE, "the cramped spool was meant to fold repeats"


def sources(tier: Tier) -> list[str]:
    """The nodes whose alarms a tier must hold."""
    return [name for name in NODES if tier.code != "320623" or name.startswith("320623")]


def settled(stage: Stage, tier: Tier) -> bool:
    """Tell whether everything promised is there (or folded into what is there)."""
    held = dict(read(tier.database, "SELECT source, sum(raises) FROM alarm_log WHERE condition = 'active' GROUP BY 1"))
    for name in sources(tier):
        raised = sum(1 for *_, raised in stage.accepted(name) if raised)
        if int(str(held.get(name, 0))) < raised:
            return False
    counts = dict(read(tier.database, "SELECT source, count(*) FROM alarm_log GROUP BY 1"))
    return all(int(str(counts.get(n, 0))) >= len(stage.accepted(n)) for n in sources(tier) if n != CRAMPED)


def judge(stage: Stage, tier: Tier) -> None:
    """Compare one tier with what its sensors were promised."""
    rows = read(tier.database, "SELECT source, event_id FROM alarm_log")
    assert not [one for one, number in Counter(rows).items() if number > 1], f"{tier.code} holds an event twice"
    assert read(tier.database, "SELECT * FROM gaps") == [], f"{tier.code} names a gap"
    assert read(tier.database, "SELECT * FROM quarantine") == [], f"{tier.code} was refused something"
    held = set(rows)
    for name in sources(tier):
        accepted = stage.accepted(name)
        if name != CRAMPED:
            lost = [one for one, *_ in accepted if (name, one) not in held]
            assert not lost, f"{tier.code} lacks {len(lost)} of {name}, the first is {lost[0]}"
        _judge_counts(stage, tier, name)
        _judge_state(tier, name)


def _judge_counts(stage: Stage, tier: Tier, name: str) -> None:
    """Every accepted raise is accounted for: itself or folded. A kill may leave one unpromised batch more."""
    raised = sum(1 for *_, raised in stage.accepted(name) if raised)
    sql = f"SELECT sum(raises) FROM alarm_log WHERE source = '{name}' AND condition = 'active'"
    held = int(str(read(tier.database, sql)[0][0]))
    spare = 8 * max(agent.kills for agent in stage.agents)
    assert raised <= held <= raised + spare, f"{tier.code}: {name} raised {raised}, {held} are accounted for"


def _judge_state(tier: Tier, name: str) -> None:
    """The state of each alarm is its newest event's, and states were applied in origin order."""
    log = read(
        tier.database,
        f"SELECT alarm_key, origincounter, condition, applied FROM alarm_log WHERE source = '{name}' ORDER BY number",
    )
    newest: dict[object, tuple[int, object]] = {}
    for key, counter, condition, applied in log:
        number = int(str(counter))
        is_newer = key not in newest or number > newest[key][0]
        assert bool(applied) == is_newer, f"{tier.code}: {name} {key} {number} applied={applied}"
        if is_newer:
            newest[key] = (number, condition)
    state = read(tier.database, f"SELECT alarm_key, applied, condition FROM alarms WHERE source = '{name}'")
    assert {key: (int(str(at)), condition) for key, at, condition in state} == newest
