"""The roster is frozen when the call begins, and compared with what the county says."""

import pytest

from gateway.rollcall.rosters import DutyRosters
from protocols.aio.clock import SystemClock
from protocols.command import RollCallAnswer
from protocols.health import CameraHealth, Verdict
from protocols.rollcall import CheckName, PointState
from tests.support.rollcall_stage import ended, roll_call_stage
from tests.unit.gateway.rollcall.test_notices import Duty


class Room:
    """The duty room with one county's roster, and who is there now."""

    async def freeze(self, centres, _at):
        return {code: Duty().record(code).shifts for code in centres if code != "320685"}


@pytest.mark.parametrize(
    ("leader", "state"),
    [("320612带班", PointState.PASSED), ("别人", PointState.PASSED_WITH_ISSUES), ("", PointState.PASSED)],
)
async def test_another_leader_than_the_rosters_is_an_issue(tmp_path, leader, state):
    async with roll_call_stage(tmp_path) as stage:

        async def respond(_command):
            health = CameraHealth(verdict=Verdict.LIVE)
            now = SystemClock().now()
            said = RollCallAnswer(answered_by="值班员", answered_at=now, camera=health, leader=leader, people=2)
            return said.model_dump(mode="json")

        stage.commands.on("320612-box", "rollcall.ring", respond)
        async with stage.service(rosters=DutyRosters(Room)) as service:
            call = await ended(service, (await service.start(by="zhang", centres=["320612"])).record.id)
        (point,) = call.points
        assert point.state is state
        assert point.roster["leaders"] == ["320612带班"]
        assert [check.name for check in point.checks] == [CheckName.LEADER] * bool(leader) + [CheckName.HEADCOUNT]
        (ring,) = [c for c in stage.commands.asked if c.name == "rollcall.ring"]
        assert [one["name"] for one in ring.args["roster"]] == ["320612带班", "320612值班"]
