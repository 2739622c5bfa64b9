"""Dispatch calls, proved by content: the tone and the mark that were sent are the tone and the mark received."""

import asyncio
import contextlib
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.demo.judge.eye import Look, look, loudest_hz
from gateway.demo.judge.tier import Tier, until
from gateway.demo.judge.voice import speaking
from protocols.aio.testcard import tone_hz

if TYPE_CHECKING:
    from gateway.demo.judge.bench import Bench

LISTEN_S = 2.0
NEAR_HZ = 10.0
ANSWER_LIMIT_S = 20.0


async def call_agent(bench: "Bench", tier: Tier, centre: str) -> dict[str, Any]:
    """Call a county whose agent answers by policy; its sound output is a file that the judge reads afterwards."""
    started = time.monotonic()
    call = (await tier.call("POST", "/api/v1/calls", {"centre": centre})).json()
    path = f"/api/v1/calls/{call['id']}"
    result: dict[str, Any] = {}
    async with _own_side(tier, call):
        connected = await _connected(bench, tier, path)
        result["answered_s"] = time.monotonic() - started
        if connected:
            seen = await _watch(tier, connected["watch"])
            _judge(bench, f"{tier.code}: call to {centre}", seen, centre)
            result["shown"] = await _at_the_agent(bench, tier.code, centre)
        await tier.call("POST", f"{path}/hangup")
    heard = bench.places["agents"].get(f"{centre}-box", {}).get("heard")
    if heard:
        result["heard_hz"] = await _heard(Path(heard), tone_hz(tier.code))
        if result["heard_hz"] is None:
            bench.fault(f"call to {centre}: the agent did not hear the caller's {tone_hz(tier.code)} Hz")
    ended = await tier.get(path)
    if ended["state"] != "ended":
        bench.fault(f"{tier.code}: call to {centre}: shown as {ended['state']} after hanging up")
    return result


async def call_console(bench: "Bench", tier: Tier, below: Tier) -> dict[str, Any]:
    """Call a county gateway; the judge is the officer at both consoles."""
    started = time.monotonic()
    call = (await tier.call("POST", "/api/v1/calls", {"centre": below.code})).json()
    path = f"/api/v1/calls/{call['id']}"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_own_side(tier, call))

        async def rings() -> Any:
            calls = await below.items("/api/v1/calls")
            return next((c for c in calls if c["direction"] == "in" and c["state"] == "ringing"), None)

        ringing, _ = await until(rings, ANSWER_LIMIT_S)
        if not ringing:
            bench.fault(f"{below.code}: the console does not ring")
            return {"answered_s": None}
        answered = (await below.call("POST", f"/api/v1/calls/{ringing['id']}/answer")).json()
        await stack.enter_async_context(_own_side(below, answered))
        connected = await _connected(bench, tier, path)
        result = {"answered_s": time.monotonic() - started}
        if connected:
            mine = await _watch(tier, connected["watch"])
            theirs = await _watch(below, (await below.get(f"/api/v1/calls/{ringing['id']}"))["watch"])
            _judge(bench, f"{tier.code}: call to {below.code}", mine, below.code)
            _judge(bench, f"{below.code}: call from {tier.code}", theirs, tier.code)
        await tier.call("POST", f"{path}/hangup")
    return result


def _own_side(tier: Tier, call: dict[str, Any]) -> contextlib.AbstractAsyncContextManager[None]:
    publish = call["publish"]
    return speaking(_absolute(tier, publish["whip_url"]), publish["token"], tier.code, tone_hz(tier.code))


async def _connected(bench: "Bench", tier: Tier, path: str) -> dict[str, Any] | None:
    async def connected() -> Any:
        call = await tier.get(path)
        return call if call["state"] == "connected" and call["watch"] else None

    call, _ = await until(connected, ANSWER_LIMIT_S)
    if not call:
        last = await tier.get(path)
        bench.fault(f"{tier.code}: the call was not answered ({last['state']}, {last['reason']})")
        return None
    return dict(call)


async def _watch(tier: Tier, watch: dict[str, Any]) -> Look:
    return await look(_absolute(tier, watch["whep_url"]), watch["token"], limit_s=15.0, listen_s=LISTEN_S)


def _judge(bench: "Bench", where: str, seen: Look, code: str) -> None:
    wrong = seen.fault(code)
    if wrong:
        bench.fault(f"{where}: {wrong}")
    due = tone_hz(code)
    if seen.tone_hz is None or abs(seen.tone_hz - due) > NEAR_HZ:
        bench.fault(f"{where}: heard {seen.tone_hz} Hz instead of {due} Hz")


def _absolute(tier: Tier, url: str) -> str:
    return f"{tier.url}{url}" if url.startswith("/") else url


async def _at_the_agent(bench: "Bench", code: str, centre: str) -> dict[str, Any] | None:
    """Read off the agent's own instruments what it sees and hears of the caller; both must be what was sent."""
    place = bench.places["agents"][f"{centre}-box"]

    async def right() -> Any:
        call = (await bench.http.get(f"{place['management']}/debug/call")).json()["call"]
        mark = (call["picture"] or {}).get("mark") or {}
        good = mark.get("code") == code and abs(call["peak_hz"] - tone_hz(code)) <= NEAR_HZ
        return {"mark": mark["code"], "hz": call["peak_hz"]} if good else None

    shown, _ = await until(right, 15.0)
    if not shown:
        bench.fault(f"call to {centre}: the agent does not see the mark and hear the {tone_hz(code)} Hz of {code}")
    return dict(shown) if shown else None


async def _heard(path: Path, due: int) -> float | None:
    """Return the tone in the agent's sound file if it is the one due. The file is written until the call's end."""

    async def right() -> float | None:
        tone = await asyncio.to_thread(_tone, path)
        return tone if tone is not None and abs(tone - due) <= NEAR_HZ else None

    tone, _ = await until(right, 10.0)
    return float(tone) if tone else None


def _tone(path: Path) -> float | None:
    import numpy as np

    try:
        with wave.open(str(path)) as file:
            rate, channels = file.getframerate(), file.getnchannels()
            raw = file.readframes(file.getnframes() or 1 << 24)
    except (OSError, EOFError, wave.Error):
        return None
    samples = np.frombuffer(raw, np.int16).reshape(-1, channels)[:, 0].astype(np.float64)
    return loudest_hz(samples[-2 * rate :], rate)
