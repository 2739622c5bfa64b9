"""An hour of 300 alarms a minute on a manual clock: few lines, red ones told at once, nothing grows with the hour."""

import gc
import random
from collections import Counter
from pathlib import Path

import pytest

from gateway.escalation.chains import Chain, Ladder, Step, Target
from gateway.ports.notify import Channel
from protocols.alarm import CLEARED, RAISED
from tests.support.escalation_stage import Stage, escalation_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MINUTES, PER_MINUTE, BATCH = 60, 300, 150
COUNTIES = ("320612", "320613", "320614", "320681", "320682", "320685", "320623")
KINDS = ("gas", "flood", "dev.alarm", "dev.video", "fire")
ALL = [(county, number) for county in COUNTIES for number in range(40)]
RING = Target(role="duty_officer", channels=(Channel.SOUND,))
CHAIN = Chain(own={level: Ladder(steps=(Step(after_s=0, targets=(RING,)),)) for level in (1, 2, 3)})


async def minute(stage: Stage, chance: random.Random, standing: dict[tuple[str, str], int]) -> int:
    """Let one minute of the storm pass in small batches; returns how many red alarms opened."""
    reds = 0
    for _ in range(PER_MINUTE // BATCH):
        events = []
        for county, number in chance.sample(ALL, BATCH):
            severity = 1 if number == 0 else 2 + number % 3
            key = f"{county}-box", f"k{number}"
            opens = key not in standing
            if opens or chance.random() < 0.7:
                standing.setdefault(key, severity)
                reds += opens and severity == 1
            else:
                del standing[key]
            type_ = RAISED if key in standing else CLEARED
            kind = KINDS[number % len(KINDS)]
            events.append(stage.event(type_, source=key[0], key=key[1], severity=severity, event_type=kind))
        async with stage.store.unit() as uow:
            await stage.alarms.apply(uow, [stage.arrival(event) for event in events])
        await stage.settle()
        await stage.clock.advance(60 * BATCH / PER_MINUTE)
    return reds


async def test_an_hour_of_storm_stays_readable_and_flat(tmp_path: Path) -> None:
    chance, standing = random.Random(11), dict[tuple[str, str], int]()
    async with escalation_stage(tmp_path, here="320600") as stage:
        await stage.room.set_chain(CHAIN, by="王")
        opened, told = 0, stage.channels[Channel.SOUND].got
        held: list[Counter[str]] = []
        sizes: list[int] = []
        for number in range(MINUTES):
            opened += await minute(stage, chance, standing)
            lines = await stage.alarms.groups()
            assert len(lines) <= 40
            red = [key for key, severity in standing.items() if severity == 1]
            assert sum(line.count for line in lines if line.severity == 1) == len(red)
            assert {line.centre for line in lines if line.severity == 1} == {source[:6] for source, _ in red}
            rung = [notice for notice in stage.channels[Channel.SOUND].got if notice.severity == 1]
            assert sum(len(notice.data["alarms"]) for notice in rung if notice.data["purpose"] == "step") == opened
            if number >= 10:
                gc.collect()
                held.append(Counter(type(one).__name__ for one in gc.get_objects()))
                # What the stage's own channel wrote down is the test's, not the room's: notice, its data, their list.
                sizes.append(held[-1].total() - 3 * len(told))
        assert opened > 60
        worst = sizes.index(max(sizes[-10:]))
        grown = (held[worst] - held[0]).most_common(8)
        assert max(sizes[-10:]) < 1.2 * max(sizes[:10]), f"minute {worst + 10} of {sizes}: {grown}"
        assert await stage.room.audit() == 0
