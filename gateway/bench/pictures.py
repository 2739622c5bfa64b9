"""Pictures as a viewer gets them: joins, slot switches, relay hops, lossy lines, and cuts."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from statistics import median

from gateway.bench.child import Child, child
from gateway.bench.contenders import Hosted, stream_name
from gateway.bench.fanout import best_engine
from gateway.bench.run import Run
from protocols.errors import LinkError

ENOUGH, ENOUGH_CUTS = 50, 10
JITTER_S = 0.05
LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def viewing(run: Run, host: str) -> AsyncIterator[Child]:
    """Run the decoding load for one scenario."""
    arguments = ["--host", host]
    async with child("viewing", "gateway.bench.viewing", arguments, run.options.folder, "load") as process:
        yield process


async def published(
    run: Run, load: Child, engine: Hosted, *, key_frame_s: float, stream: int = 0, shade: int = 110
) -> int:
    """Let the load publish a stream; returns the publisher's number once the first group of pictures is under way."""
    recipe = run.recipe("VP8", key_frame_s, shade)
    path = await asyncio.to_thread(run.traffic, recipe)
    name = f"{key_frame_s:g}-{shade}"
    await load.ask("traffic", name=name, path=str(path), codec="VP8")
    number = await engine.publish(load, stream, "VP8", name)
    await load.ask("play", peers=[number])
    await asyncio.sleep(0.3)
    return number


async def joins(run: Run) -> None:
    """Measure request to first decoded picture at key frames 1 s and 4 s apart."""
    count = 5 if run.options.quick else ENOUGH
    chance = random.Random(run.options.seed)  # noqa: S311 - the moment of a join, not a secret
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(viewing(run, run.options.host))
        _, engine = await best_engine(run, stack)
        facts = await engine.host.ask("facts")
        for stream, (key_frame_s, suffix) in enumerate(((1.0, ""), (4.0, "_key4s"))):
            number = await published(run, load, engine, key_frame_s=key_frame_s, stream=stream)
            url = f"{facts['url']}/whep/{stream_name(stream)}"
            await load.ask("join", url=url, codec="VP8")  # imports and the first handshake are no viewer's
            found = []
            for _ in range(count):
                await asyncio.sleep(chance.random() * 0.2)
                found.append((await load.ask("join", url=url, codec="VP8"))["seconds"])
            await load.ask("drop", peers=[number])
            run.figures.ranked(f"first_picture_tier1{suffix}_p95_s", found, ENOUGH)
            run.figures.put(f"first_picture_tier1{suffix}_median_s", median(found), len(found))
            run.say(f"joins: key frame each {key_frame_s:g} s: median {median(found) * 1000:.0f} ms")


async def hop(run: Run) -> None:
    """Measure what one more engine adds to a packet's delay: two engines in a row, a viewer at each."""
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(run.load())
        path = await asyncio.to_thread(run.traffic, run.recipe())
        await load.ask("traffic", name="main", path=str(path), codec="VP8")
        _, lower = await best_engine(run, stack, "lower")
        _, upper = await best_engine(run, stack, "upper")
        number = await lower.publish(load, 0, "VP8", "main")
        await load.ask("play", peers=[number])
        above = (await upper.host.ask("facts"))["url"]
        await lower.host.ask("relay", stream=stream_name(0), url=f"{above}/whip/{stream_name(0)}")
        viewers = [(await engine.view(load, 0, "VP8"))[0] for engine in (lower, upper)]
        await load.ask("stamp", publisher=number, viewers=viewers)
        await asyncio.sleep(1.0)
        await load.ask("snap", viewers=viewers, publishers=[number])
        await asyncio.sleep(run.options.window_s)
        delays = (await load.ask("snap", viewers=viewers, publishers=[number]))["delays_ms"]
    if not all(delays):
        raise LinkError("a viewer of the chain got nothing")
    run.figures.put("relay_delay_per_hop_median_ms", median(delays[1]) - median(delays[0]), len(delays[1]))


async def slots(run: Run) -> None:
    """Measure slot switches of a wall: assignment to the first decoded picture of the new stream."""
    count = 6 if run.options.quick else ENOUGH
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(viewing(run, run.options.host))
        _, engine = await best_engine(run, stack)
        if not (await engine.host.ask("facts"))["wall"]:
            run.figures.note("slot switches were not measured: the engine has no walls")
            return
        shades = (70, 160)
        for stream, shade in enumerate(shades):
            await published(run, load, engine, key_frame_s=2.0, stream=stream, shade=shade)
        made = await load.ask("seat", codec="VP8")
        wall = await engine.host.ask("wall", sdp=made["sdp"])
        await load.ask("accept", peer=made["peer"], sdp=wall["sdp"])
        found = []
        for place in range(count + 1):
            stream = place % 2
            since = time.monotonic()
            await engine.host.ask("assign", session=wall["session"], slots={"0": stream_name(stream)})
            shown = await load.ask("shows", seat=made["peer"], luma=shades[stream], since=since)
            if place:  # the first one fills an empty slot
                found.append(shown["seconds"])
            await asyncio.sleep(0.15)
    run.figures.ranked("slot_switch_p95_s", found, ENOUGH)
    run.figures.put("slot_switch_median_s", median(found), len(found))


async def losses(run: Run) -> None:
    """Measure frozen seconds behind lines that lose 1, 5 and 10 % both ways with 50 ms of jitter."""
    seconds = 6.0 if run.options.quick else 60.0
    async with contextlib.AsyncExitStack() as stack:
        load, engine, url, port = await behind_lines(run, stack)
        seats = {}
        for percent in (1, 5, 10):
            made = await load.ask(
                "watch", url=url, codec="VP8", port=port, loss=percent / 100, jitter_s=JITTER_S,
                seed=run.options.seed + percent,
            )  # fmt: skip
            seats[percent] = made["seat"]
        await asyncio.sleep(3.0)
        before = {percent: await load.ask("seen", seat=seat) for percent, seat in seats.items()}
        await asyncio.sleep(seconds)
        for percent, seat in seats.items():
            after = await load.ask("seen", seat=seat)
            frames = after["frames"] - before[percent]["frames"]
            if not before[percent]["frames"]:
                raise LinkError(f"no picture within 3 s at {percent} % loss")
            share = (after["frozen_s"] - before[percent]["frozen_s"]) / (after["at"] - before[percent]["at"])
            run.figures.put(f"freeze_ratio_loss{percent}", max(0.0, share), frames)
            run.figures.put(f"packets_lost_on_purpose_loss{percent}", after["lost"] - before[percent]["lost"])
        lines = await engine.host.ask("lines")
        if None in (*lines["lost"], *lines["rtt_ms"]):
            raise LinkError("the engine was not told what a viewer's line loses")
        run.figures.put("lossy_line_rtt_median_ms", median(lines["rtt_ms"]), len(lines["rtt_ms"]))
        run.figures.note("losses stand on the viewer's line, both ways; its publisher has a clean one")


async def behind_lines(run: Run, stack: contextlib.AsyncExitStack) -> tuple[Child, Hosted, str, int]:
    """Run an engine on loopback, where bad lines are made, with a stream; returns its WHEP address and UDP port."""
    load = await stack.enter_async_context(viewing(run, LOOPBACK))
    _, engine = await best_engine(run, stack, "behind-lines", LOOPBACK)
    await published(run, load, engine, key_frame_s=2.0)
    facts = await engine.host.ask("facts")
    return load, engine, f"{facts['url']}/whep/{stream_name(0)}", int(facts["port"])


async def cuts(run: Run) -> None:
    """Measure mended line to decoded picture after cuts of 5 s and 30 s (and 10 min where asked for)."""
    plan: list[tuple[float, int]] = [(1.0, 2)] if run.options.quick else [(5.0, 5), (30.0, 1)]
    if run.options.long_cuts:
        plan = [(5.0, ENOUGH_CUTS), (30.0, ENOUGH_CUTS), (600.0, 2)]
    found: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        load, _, url, port = await behind_lines(run, stack)
        seat = (await load.ask("watch", url=url, codec="VP8", port=port, loss=0.0, jitter_s=0.0, seed=1))["seat"]
        await asyncio.sleep(1.5)
        for seconds, times in plan:
            here, sessions = [], 0
            for _ in range(times):
                told = await load.ask("cut", seat=seat, seconds=seconds, within_s=seconds + 60)
                here.append(told["seconds"])
                sessions += told["sessions"]
                await asyncio.sleep(0.7)
            run.figures.put(f"recover_after_cut_{seconds:g}s_max_s", max(here), len(here))
            run.figures.put(f"recover_after_cut_{seconds:g}s_new_sessions", sessions)
            run.say(f"cuts: {seconds:g} s: {max(here):.2f} s at most, {sessions} new sessions")
            found += here
    run.figures.ranked("recover_after_cut_p95_s", found, 2 * ENOUGH_CUTS)
    run.figures.note("cuts stand on the viewer's line; its viewer makes a new session after 2 s without a picture")
