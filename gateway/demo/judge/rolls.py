"""The roll call under the judge's eye: who is said to be present must be seen, who is not must have the true reason."""

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.demo.judge.eye import read_mark
from gateway.demo.judge.tier import Tier
from protocols.rollcall import PointState
from protocols.testmark import Mark

if TYPE_CHECKING:
    from gateway.demo.judge.bench import Bench

PRESENT = {PointState.PASSED, PointState.PASSED_WITH_ISSUES, PointState.PASSED_LATE}
LIMIT_S = 60.0


async def roll_call(bench: "Bench", tier: Tier, expect: dict[str, str]) -> dict[str, Any]:
    """Start a roll call over the whole subtree, wait for its end, judge every point."""
    started = time.monotonic()
    roll = (await tier.call("POST", "/api/v1/roll-calls", {"centres": sorted(expect)})).json()
    while roll.get("ended_at") is None:
        if time.monotonic() - started > LIMIT_S:
            bench.fault(f"{tier.code}: the roll call did not end within {LIMIT_S:.0f} s")
            break
        await asyncio.sleep(0.25)
        roll = await tier.get(f"/api/v1/roll-calls/{roll['id']}")
    seconds = time.monotonic() - started
    wrong = {"rollcall_false_present": 0, "rollcall_false_frozen": 0, "rollcall_wrong_cause": 0}
    points = {point["centre"]: point for point in roll["points"]}
    for centre, due in expect.items():
        sentence, kind = await _judge(tier, roll, points.get(centre), centre, due)
        if sentence:
            bench.fault(f"{tier.code}: roll call: {centre}: {sentence}")
            wrong[kind] += 1
    present = sum(point["state"] in PRESENT for point in points.values())
    if roll["present"] != present or roll["due"] != len(points):
        bench.fault(f"{tier.code}: roll call: the counts {roll['present']}/{roll['due']} do not fit the points")
    await _csv(bench, tier, roll, len(points))
    bench.figures.update({f"rollcall_{len(expect)}_s": seconds, **wrong})
    shown = {c: "present" if p["state"] in PRESENT else p["reason"] for c, p in points.items()}
    return {"seconds": seconds, "points": shown, **wrong}


async def _judge(
    tier: Tier, roll: dict[str, Any], point: dict[str, Any] | None, centre: str, due: str
) -> tuple[str | None, str]:
    if point is None:
        return "not called", "rollcall_wrong_cause"
    if point["state"] in PRESENT:
        if due != "present":
            return f"said to be present, but it is {due}", "rollcall_false_present"
        return await _evidence(tier, roll, centre), "rollcall_false_present"
    if due == "present":
        return f"said to be {point['reason']}, but it is present", "rollcall_false_frozen"
    if point["reason"] != due:
        return f"the reason is said to be {point['reason']}, but it is {due}", "rollcall_wrong_cause"
    return None, ""


async def _evidence(tier: Tier, roll: dict[str, Any], centre: str) -> str | None:
    """Say what is wrong with the still that proves presence; None where it shows the county during the roll call."""
    still = (await tier.call("GET", f"/api/v1/roll-calls/{roll['id']}/points/{centre}/still")).content
    mark = await asyncio.to_thread(_read, still)
    if mark is None:
        return "no mark can be read in its still"
    if mark.code != centre:
        return f"its still shows {mark.code}"
    began = datetime.fromisoformat(roll["started_at"]).timestamp() * 1000
    if mark.age_ms(int(began)) > 3000:
        return "its still is older than the roll call"
    return None


def _read(jpeg: bytes) -> Mark | None:
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if picture is None else read_mark(np.asarray(picture, np.uint8))


async def _csv(bench: "Bench", tier: Tier, roll: dict[str, Any], points: int) -> None:
    table = (await tier.call("GET", f"/api/v1/roll-calls/{roll['id']}/sheet.csv")).content
    lines = table.decode("utf-8").strip().splitlines()
    if not table.startswith(b"\xef\xbb\xbf") or len(lines) != points + 1:
        bench.fault(f"{tier.code}: roll call: the CSV has {len(lines)} lines for {points} points")
