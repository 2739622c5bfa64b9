"""Forwarding: what one packet on one leg costs, how late the last leg gets it, and what is lost at half of the limit.

All contenders of a scenario stand ready with their sessions; each round lets them forward one after the other, so that
whatever else the machine does meets them alike.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

from gateway.adapters.media_embedded.backends import BACKENDS
from gateway.bench.child import Answer, Child
from gateway.bench.contenders import Contender, Hosted, Janus, Stage, embedded, janus, relay
from gateway.bench.figures import percentile
from gateway.bench.processes import cpu_s
from gateway.bench.run import Row, Run, free_port
from protocols.errors import LinkError, NeedsError

SETTLE_S = 1.0
HALF_LEGS = 480
"""Most legs of the run at half of the limit: joining more takes longer than it tells."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Publishers, viewers of each, and the suffix of its keys; the first shape's keys have none.

    `walls`: so many viewers watch all publishers at once, each over one connection. `bound` is the most that a packet
    may cost beside Janus, None where nothing was promised.
    """

    name: str
    publishers: int
    viewers: int
    codec: str
    suffix: str
    bound: float | None
    walls: bool = False


SHAPES = (
    Shape("1x100", 1, 100, "VP8", "", 0.5),
    Shape("20x5", 20, 5, "VP8", "_20x5", 0.7),
    Shape("40x1", 40, 1, "VP8", "_40x1", 1.0),
    Shape("1x100-h264", 1, 100, "H264", "_h264", 0.5),
    Shape("wall16", 16, 6, "VP8", "_wall16", None, walls=True),
)


async def fan_out(run: Run, shape: Shape) -> None:
    """Measure one shape for every contender."""
    recipe = run.recipe(shape.codec)
    path = await asyncio.to_thread(run.traffic, recipe)
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(run.load())
        rate = await load.ask("traffic", name="main", path=str(path), codec=shape.codec)
        run.figures.put(f"media_source_packets_per_s{shape.suffix}", float(rate["packets_per_s"]))
        run.figures.put(f"media_source_bitrate{shape.suffix}", float(rate["bitrate"]))
        stages: list[tuple[Contender, Stage, Row]] = []
        for contender in await _contenders(run, stack, with_relay=shape.codec == "VP8" and shape.publishers == 1):
            run.say(f"{shape.name}: {contender.name}: connecting ...")
            publishers, viewers = (
                run.options.sized(shape.publishers, 2 if shape.walls else 1),
                run.options.sized(shape.viewers),
            )
            fill = contender.fill_walls if shape.walls else contender.fill
            stage = await fill(load, publishers, viewers, shape.codec, "main")
            legs = len(stage.viewers) * (publishers if shape.walls else 1)
            row = Row(shape.name, contender.name, legs=legs, profile=stage.profile, feedback=stage.feedback)
            stages.append((contender, stage, row))
            run.rows.append(row)
            if shape.publishers == 1:
                ends = list(dict.fromkeys([stage.viewers[0], stage.viewers[-1]]))
                await load.ask("stamp", publisher=stage.publishers[0], viewers=ends)
        for number in range(run.options.rounds):
            for contender, stage, row in stages:
                await _round(run, load, contender, stage, row)
                run.say(f"{shape.name}: round {number + 1}/{run.options.rounds}: {contender.name} {row.us[-1]:.2f} us")
        _conclude(run, shape, [row for _, _, row in stages])
        for contender, stage, row in stages:
            key = f"{row.contender}{shape.suffix}"
            run.figures.put(f"media_feedback_agreed_{key}", stage.feedback)
            run.figures.put(f"media_dropped_{key}", await contender.dropped())


async def _contenders(run: Run, stack: contextlib.AsyncExitStack, *, with_relay: bool) -> list[Contender]:
    options, made = run.options, list[Contender]()
    first: Hosted | None = None
    for backend in BACKENDS:
        if backend in options.without:
            continue
        if first is not None and backend not in (await first.host.ask("facts"))["backends"]:
            continue
        try:
            found = await stack.enter_async_context(embedded(backend, options.host, options.folder))
        except LinkError:
            run.figures.note(f"the packet path {backend} is not there")
            continue
        first = first or found
        made.append(found)
    if "janus" not in options.without:
        try:
            other: Janus = await stack.enter_async_context(janus(options.host, free_port(), options.folder))
        except (NeedsError, LinkError) as error:
            run.figures.note(f"Janus was not measured: {error}")
        else:
            made.append(other)
            for key, value in other.facts().items():
                run.figures.put(key, str(value))
    if with_relay and "relay" not in options.without:
        made.append(await stack.enter_async_context(relay(options.host, options.folder)))
    return made


async def window(
    run: Run, load: Child, contender: Contender, stage: Stage, seconds: float
) -> tuple[float, Answer, Answer]:
    """Let publishers send and viewers count for a window; returns CPU seconds and the load's sums around it."""
    await load.ask("play", peers=stage.publishers)
    try:
        await asyncio.sleep(SETTLE_S)
        before = await load.ask("snap", viewers=stage.viewers, publishers=stage.publishers)
        used = cpu_s(contender.pids())
        await asyncio.sleep(seconds)
        used = cpu_s(contender.pids()) - used
        after = await load.ask("snap", viewers=stage.viewers, publishers=stage.publishers)
    finally:
        await load.ask("pause", peers=stage.publishers)
    return used, before, after


async def _round(run: Run, load: Child, contender: Contender, stage: Stage, row: Row) -> None:
    used, before, after = await window(run, load, contender, stage, run.options.window_s)
    packets = after["packets"] - before["packets"]
    if packets <= 0:
        raise LinkError(f"{contender.name} forwarded nothing to {row.legs} viewers")
    if after["forged"]:
        raise LinkError(f"{contender.name}: {after['forged']} packets did not decrypt")
    row.us.append(used / packets * 1e6)
    seconds = after["at"] - before["at"]
    row.cpu_s += used
    row.leg_s += seconds * row.legs
    row.packets += packets
    row.lost += max(0, after["expected"] - before["expected"] - packets)
    row.delay_ms += last_served(after["delays_ms"])
    share = (after["cpu_s"] - before["cpu_s"]) / seconds
    key = "load_cpu_share_max"
    run.figures.put(key, max(float(run.figures.values.get(key) or 0.0), share))


def last_served(delays: list[list[float]]) -> list[float]:
    """Return the delays of the leg that is served last: of the first and the last that joined, the later one."""
    measured = [leg for leg in delays if leg]
    return max(measured, key=median) if measured else []


def _conclude(run: Run, shape: Shape, rows: list[Row]) -> None:
    figures = run.figures
    for row in rows:
        key = f"{row.contender}{shape.suffix}"
        figures.put(f"media_us_per_leg_packet_{key}", median(row.us), len(row.us))
        figures.put(f"media_legs_per_core_{key}", row.leg_s / row.cpu_s)
        figures.put(f"media_packets_{key}", row.packets)
        figures.put(f"media_loss_{key}", row.lost / max(1, row.packets + row.lost))
        figures.put(f"media_srtp_profile_{key}", row.profile)
        if row.delay_ms:
            figures.put(f"media_delay_last_leg_p50_ms_{key}", percentile(row.delay_ms, 0.5), len(row.delay_ms))
            figures.put(f"media_delay_last_leg_p99_ms_{key}", percentile(row.delay_ms, 0.99), len(row.delay_ms))
    best = next((row for row in rows if row.contender in BACKENDS), None)
    if best is not None and best.delay_ms:
        for name in ("p50", "p99"):
            value = figures.values[f"media_delay_last_leg_{name}_ms_{best.contender}{shape.suffix}"]
            figures.put(f"media_delay_last_leg_{name}_ms{shape.suffix}", value, len(best.delay_ms))
    other = next((row for row in rows if row.contender == "janus"), None)
    if other is None:
        return
    for row in rows:
        # Of each round its own ratio: what disturbed the one disturbed the other.
        ratios = [ours / theirs for ours, theirs in zip(row.us, other.us, strict=True)]
        if row is not other:
            figures.put(f"media_cpu_ratio_vs_janus_{row.contender}{shape.suffix}", median(ratios), len(ratios))
    if best is not None:
        value = figures.values[f"media_cpu_ratio_vs_janus_{best.contender}{shape.suffix}"]
        figures.put(f"media_cpu_ratio_vs_janus{shape.suffix}", value, len(best.us))


async def half_of_limit(run: Run) -> None:
    """Count what viewers miss while the engine carries half of what a core could, by the figure just measured."""
    figures = run.figures
    backend = next((name for name in BACKENDS if f"media_legs_per_core_{name}" in figures.values), "")
    limit = figures.values.get(f"media_legs_per_core_{backend}")
    if not isinstance(limit, int | float):
        figures.note("loss at half of the limit needs the scenario 1x100 in the same run")
        return
    legs = run.options.sized(min(HALF_LEGS, round(limit / 2)), 2)
    path = await asyncio.to_thread(run.traffic, run.recipe())
    async with run.load() as load, embedded(backend, run.options.host, run.options.folder) as engine:
        await load.ask("traffic", name="main", path=str(path), codec="VP8")
        run.say(f"half: connecting {legs} viewers ...")
        stage = await engine.fill(load, 1, legs, "VP8", "main")
        used, before, after = await window(run, load, engine, stage, run.options.window_s)
    packets = after["packets"] - before["packets"]
    lost = max(0, after["expected"] - before["expected"] - packets)
    figures.put("media_half_limit_legs", legs)
    figures.put("media_half_limit_loss", lost / max(1, packets + lost), packets)
    figures.put("media_half_limit_core_share", used / (after["at"] - before["at"]))


async def stalled_control(run: Run) -> None:
    """Measure the last of 100 legs while the control process is busy 150 ms of each second."""
    path = await asyncio.to_thread(run.traffic, run.recipe())
    async with run.load() as load, contextlib.AsyncExitStack() as stack:
        backend, engine = await best_engine(run, stack)
        await load.ask("traffic", name="main", path=str(path), codec="VP8")
        run.say(f"stall: {backend}: connecting ...")
        stage = await engine.fill(load, 1, run.options.sized(100, 2), "VP8", "main")
        ends = list(dict.fromkeys([stage.viewers[0], stage.viewers[-1]]))
        await load.ask("stamp", publisher=stage.publishers[0], viewers=ends)
        await engine.host.ask("stall", each_s=1.0, busy_s=0.15)
        seconds = run.options.window_s * (1 if run.options.quick else 2)
        _, _, after = await window(run, load, engine, stage, seconds)
        await engine.host.ask("stall", each_s=0.0, busy_s=0.0)
    delays = last_served(after["delays_ms"])
    if not delays:
        raise LinkError("no delay was measured")
    run.figures.put("media_stall_delay_last_leg_p50_ms", percentile(delays, 0.5), len(delays))
    run.figures.put("media_stall_delay_last_leg_p99_ms", percentile(delays, 0.99), len(delays))


async def best_engine(run: Run, stack: contextlib.AsyncExitStack, name: str = "", host: str = "") -> tuple[str, Hosted]:
    """Run the embedded engine with the faster packet path that is there; `name` sets several apart."""
    folder = run.options.folder / name if name else run.options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for backend in BACKENDS:
        try:
            return backend, await stack.enter_async_context(embedded(backend, host or run.options.host, folder))
        except LinkError:
            continue
    raise LinkError("the embedded engine does not start; see the logs in " + str(folder))


Scenario = Callable[[Run], Awaitable[None]]
