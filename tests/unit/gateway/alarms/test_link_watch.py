"""A failed link is one alarm; mild device alarms behind it wait, grave ones and sensors' own never do."""

from dataclasses import dataclass
from pathlib import Path

from gateway.alarms.link_watch import PATIENCE_S, LinkWatch
from gateway.alarms.service import Wanted
from protocols.health import LinkReason, LinkStatus
from tests.support.escalation_stage import Stage, escalation_stage


@dataclass
class Line:
    node: str
    status: LinkStatus = LinkStatus.UP
    direct: bool = True
    reason: LinkReason | None = None


def watch(stage: Stage, *lines: Line) -> LinkWatch:
    return LinkWatch(stage.clock, stage.alarms, stage.room._needs.area.table, lambda: lines)


async def standing(stage: Stage) -> dict[str, str]:
    page = await stage.alarms.page(Wanted())
    return {item["alarm_key"]: item["visibility"] for item in page["items"] if item["condition"] == "active"}


async def pass_(stage: Stage, watching: LinkWatch, seconds: float) -> None:
    await watching.look()
    await stage.clock.advance(seconds)
    await watching.look()


async def test_a_link_that_stays_down_raises_one_alarm_and_ends_it_when_it_is_whole(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path, here="320600", below=("320623",)) as stage:
        line = Line("320623-box", LinkStatus.DOWN, reason=LinkReason.NO_HEARTBEAT)
        watching = watch(stage, line, Line("320612-box"), Line("320681-box", LinkStatus.NEVER))
        await pass_(stage, watching, PATIENCE_S - 1)
        assert await standing(stage) == {}
        await pass_(stage, watching, 1)
        await pass_(stage, watching, 100)
        assert await standing(stage) == {"link.down/320623-box": "shown"}
        (alarm,) = (await stage.alarms.page(Wanted()))["items"]
        assert alarm["headline"] == "如东县（320623-box）链路中断"
        assert alarm["count"] == 1
        line.status = LinkStatus.UP
        await watching.look()
        assert await standing(stage) == {}


async def test_a_short_cut_is_no_alarm(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path, here="320600") as stage:
        line = Line("320623-box", LinkStatus.DOWN)
        watching = watch(stage, line)
        await pass_(stage, watching, PATIENCE_S - 1)
        line.status = LinkStatus.UP
        await pass_(stage, watching, PATIENCE_S)
        line.status = LinkStatus.DOWN
        await pass_(stage, watching, PATIENCE_S - 1)
        assert await standing(stage) == {}


async def test_mild_device_alarms_behind_it_wait_and_no_others(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path, here="320600", below=("320623",)) as stage:
        await stage.raise_(key="camera", severity=4, event_type="dev.video")
        await stage.raise_(key="camera-red", severity=1, event_type="dev.video")
        await stage.raise_(key="gas", severity=3, event_type="dev.alarm")
        await stage.raise_(key="other", severity=4, event_type="dev.video", source="320612-box")
        line = Line("320623", LinkStatus.DOWN)
        watching = watch(stage, line)
        await pass_(stage, watching, PATIENCE_S)
        found = await standing(stage)
        assert found.pop("link.down/320623") == "shown"
        assert found == {"camera": "suppressed", "camera-red": "shown", "gas": "shown", "other": "shown"}
        line.status = LinkStatus.UP
        await watching.look()
        assert set((await standing(stage)).values()) == {"shown"}


async def test_a_restart_finds_the_alarm_and_what_it_suppresses(tmp_path: Path) -> None:
    line = Line("320623-box", LinkStatus.DOWN)
    async with escalation_stage(tmp_path, here="320600") as stage:
        await stage.raise_(key="camera", severity=4, event_type="dev.video")
        await pass_(stage, watch(stage, line), PATIENCE_S)
        clock = stage.clock
    async with escalation_stage(tmp_path, here="320600", clock=clock) as stage:
        watching = watch(stage, line)
        await pass_(stage, watching, 1)
        assert await standing(stage) == {"link.down/320623-box": "shown", "camera": "suppressed"}
        line.status = LinkStatus.UP
        await watching.look()
        assert await standing(stage) == {"camera": "shown"}


async def test_a_suppressed_alarm_keeps_its_shelf_and_a_graver_raise_ends_the_suppression(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path, here="320600") as stage:
        shelved = await stage.raise_(key="camera", severity=4, event_type="dev.video")
        await stage.raise_(key="door", severity=4, event_type="dev.door")
        await stage.alarms.shelve(shelved, by="王", reason="检修", for_s=3600)
        line = Line("320623-box", LinkStatus.DOWN)
        watching = watch(stage, line)
        await pass_(stage, watching, PATIENCE_S)
        await stage.raise_(key="door", severity=2, event_type="dev.door")
        await watching.look()
        found = await standing(stage)
        assert (found["camera"], found["door"]) == ("suppressed", "shown")
        line.status = LinkStatus.UP
        await watching.look()
        assert (await standing(stage))["camera"] == "shelved"
