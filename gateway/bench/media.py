"""`silian bench media`: all scenarios in order, the table, the JSON, the picture."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

from gateway.bench.fanout import SHAPES, Scenario, fan_out, half_of_limit, stalled_control
from gateway.bench.figures import Figures, Reach, spread
from gateway.bench.picture import Bar, chart
from gateway.bench.pictures import cuts, hop, joins, losses, slots
from gateway.bench.run import Options, Run
from gateway.bench.soak import soak
from protocols.errors import ConfigError, SilianError

SCENARIOS: dict[str, Scenario] = {
    **{shape.name: functools.partial(fan_out, shape=shape) for shape in SHAPES},
    "half": half_of_limit,
    "stall": stalled_control,
    "join": joins,
    "hop": hop,
    "slot": slots,
    "loss": losses,
    "cut": cuts,
    "soak": soak,
}
QUICK = ("1x100", "join", "hop", "slot")
REACHES = (
    *(Reach(f"media_cpu_ratio_vs_janus{shape.suffix}", shape.bound) for shape in SHAPES if shape.bound is not None),
    Reach("media_delay_last_leg_p50_ms", 4.0),
    Reach("media_delay_last_leg_p99_ms", 15.0),
    Reach("media_stall_delay_last_leg_p99_ms", 15.0),
    Reach("media_half_limit_loss", 0.0001),
    Reach("first_picture_tier1_p95_s", 0.5),
    Reach("relay_delay_per_hop_median_ms", 5.0),
    Reach("slot_switch_p95_s", 0.3),
    Reach("freeze_ratio_loss1", 0.01),
    Reach("freeze_ratio_loss5", 0.05),
    Reach("recover_after_cut_p95_s", 3.0),
    Reach("soak_sessions_left", 0.0),
    Reach("soak_sessions_too_many", 0.0),
    Reach("soak_worker_files_grown", 0.0),
    Reach("soak_control_files_grown", 0.0),
    Reach("soak_control_tasks_grown", 0.0),
    Reach("soak_worker_leak_mb_per_1000_joins", 2.0),
    Reach("soak_control_leak_mb_per_1000_joins", 2.0),
)
"""Figures of the contract (design, numbers) and of the media engine's decisions."""


async def measure(options: Options, say: Callable[[str], None]) -> tuple[Run, list[str]]:
    """Run the scenarios asked for; returns the run and what failed. Raises ConfigError for an unknown name."""
    unknown = set(options.only) - set(SCENARIOS)
    if unknown:
        raise ConfigError(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    run, failed = Run(options, Figures(), say), []
    names = options.only or (QUICK if options.quick else tuple(SCENARIOS))
    for name in names:
        try:
            await SCENARIOS[name](run)
        except* SilianError as errors:
            failed += [f"{name}: {error}" for error in leaves(errors)]
            say(failed[-1])
    run.close()
    run.figures.put("failed", "; ".join(failed))
    if not options.quick:
        failed += run.figures.missed(REACHES)
    return run, failed


def leaves(group: BaseExceptionGroup[SilianError]) -> list[BaseException]:
    """Return the errors of a group, however deep."""
    out: list[BaseException] = []
    for error in group.exceptions:
        out += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return out


def table(run: Run) -> str:
    """Return the figures as text."""
    figures = run.figures
    lines = []
    if run.rows:
        lines.append(f"{'scenario':<12} {'engine':<10} {'legs':>5} {'us per leg-packet':>22} {'vs Janus':>9} "
                     f"{'loss':>8} {'p50/p99 ms':>14}")  # fmt: skip
    suffixes = {shape.name: shape.suffix for shape in SHAPES}
    for row in (row for row in run.rows if row.us):
        key = f"{row.contender}{suffixes[row.scenario]}"
        ratio = figures.values.get(f"media_cpu_ratio_vs_janus_{key}")
        shown = "1.00" if row.contender == "janus" else f"{ratio:.2f}" if isinstance(ratio, float) else "-"
        p50, p99 = (figures.values.get(f"media_delay_last_leg_{p}_ms_{key}") for p in ("p50", "p99"))
        delay = f"{p50:.1f}/{p99:.1f}" if isinstance(p50, float) and isinstance(p99, float) else "-"
        loss = row.lost / max(1, row.packets + row.lost)
        lines.append(f"{row.scenario:<12} {row.contender:<10} {row.legs:>5} {spread(row.us):>22} {shown:>9} "
                     f"{loss:>8.4%} {delay:>14}")  # fmt: skip
    shown_above = ("media_us", "media_packets", "media_loss", "media_srtp", "media_source", "media_cpu_ratio_vs_janus_",
                   "media_delay_", "media_feedback_", "media_dropped_", "samples_")  # fmt: skip
    for key, value in figures.values.items():
        if not key.startswith(shown_above) and value not in ("", None):
            samples = figures.values.get(f"samples_{key}")
            lines.append(f"{key:<44} {value}" + (f"  ({samples} samples)" if samples is not None else ""))
    return "\n".join(lines + [f"note: {note}" for note in figures.notes])


def write_json(run: Run, path: Path) -> None:
    """Write the flat object."""
    path.write_text(json.dumps(run.figures.document(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_picture(run: Run, path: Path) -> None:
    """Draw what forwarding cost; raises ConfigError where nothing of it was measured."""
    if not run.rows:
        raise ConfigError("--picture needs a forwarding scenario, such as --only 1x100")
    suffixes = {shape.name: shape.suffix for shape in SHAPES}
    bars = []
    for row in (row for row in run.rows if row.us):
        ratio = run.figures.values.get(f"media_cpu_ratio_vs_janus_{row.contender}{suffixes[row.scenario]}")
        bars.append(Bar(row.scenario, row.contender, median(row.us), ratio if isinstance(ratio, float) else None))
    values = run.figures.values
    janus = f"Janus {values['janus_version']}, {values['janus_libsrtp']}; " if "janus_version" in values else ""
    foot = f"{values['machine']}; {janus}{run.rows[0].profile}; commit {values['commit']}"
    path.write_text(chart(bars, foot), encoding="utf-8")
