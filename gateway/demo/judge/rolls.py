"""The roll call under the judge's eye: who is said to be present must be seen, who is not must have the true reason."""

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.demo.judge.eye import read_mark
from gateway.demo.judge.tier import Tier, until
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


async def spot_check(bench: "Bench", top: Tier, between: list[Tier], stream: str) -> dict[str, Any]:
    """Check one county unannounced (随机抽查) and judge what is told and seen on the way; times from the order on."""
    centre, started = stream[:6], time.monotonic()
    roll = (await top.call("POST", "/api/v1/roll-calls", {"centres": [centre], "kind": "random", "drill": True})).json()

    async def told(tier: Tier) -> float:
        shown, seconds = await until(lambda: _inspected(tier, roll["id"]), LIMIT_S)
        if not shown:
            bench.fault(f"{tier.code}: a check from {top.code} is not told")
        return seconds

    async def seen() -> float:
        fault = (await bench.see(top, stream, LIMIT_S)).fault(centre)
        if fault:
            bench.fault(f"{top.code}: spot check: {fault}")
        return time.monotonic() - started

    *tellings, picture = await asyncio.gather(*(told(tier) for tier in between), seen())
    while roll["ended_at"] is None and time.monotonic() - started < 2 * LIMIT_S:
        await asyncio.sleep(0.25)
        roll = await top.get(f"/api/v1/roll-calls/{roll['id']}")
    result = time.monotonic() - started
    (point,) = roll["points"]
    sentence, _ = await _judge(top, roll, point, centre, "present")
    if sentence:
        bench.fault(f"{top.code}: spot check: {centre}: {sentence}")
    await asyncio.gather(*(_over(bench, tier, roll["id"]) for tier in between))
    rung = None if point["answered_at"] is None else _between(roll["started_at"], point["answered_at"])
    found = {"told_s": max(tellings), "answered_s": rung, "seen_s": picture, "result_s": result}
    found["first_frame_s"] = point["first_frame_s"]
    bench.figures.update({f"spot_check_{name}": value for name, value in found.items() if value is not None})
    return found


async def _inspected(tier: Tier, roll_call: str) -> bool:
    return any(one["roll_call_id"] == roll_call for one in await tier.items("/api/v1/roll-calls/inspections"))


async def _over(bench: "Bench", tier: Tier, roll_call: str) -> None:
    async def no_longer() -> bool:
        return not await _inspected(tier, roll_call)

    over, _ = await until(no_longer, LIMIT_S)
    if not over:
        bench.fault(f"{tier.code}: a check from above is over, and is told on")


def _between(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


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
