"""The bar chart of a run as SVG, for the README: CPU time of one packet on one leg, engine by engine.

MediaRelay decodes and encodes: its bar would be wider than the page, so that it is cut and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 760, 150, 130
BAR, GAP, HEAD, FOOT = 22, 8, 64, 34
COLOURS = {
    "compiled": "#0b4fb3", "batched": "#1f6feb", "reference": "#8ab4f8", "janus": "#8c959f", "relay": "#d0d7de",
}  # fmt: skip
NAMES = {
    "compiled": "Silian, compiled", "batched": "Silian, batched", "reference": "Silian, reference", "janus": "Janus",
    "relay": "aiortc MediaRelay",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: scenario, engine, microseconds, and its ratio to Janus where there is one."""

    scenario: str
    engine: str
    us: float
    ratio: float | None = None


def chart(bars: Sequence[Bar], foot: str) -> str:
    """Draw bars grouped by scenario; `foot` says where and when it was measured."""
    longest = max((bar.us for bar in bars if bar.engine != "relay"), default=1.0) * 1.05
    lines: list[str] = []
    at, scenario = float(HEAD), ""
    for bar in bars:
        if bar.scenario != scenario:
            scenario = bar.scenario
            at += GAP
            lines.append(f'<text x="16" y="{at + 12:g}" class="group">{escape(_spoken(scenario))}</text>')
            at += 20
        lines += _bar(bar, at, longest)
        at += BAR + GAP / 2
    height = at + FOOT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" role="img" '
        'aria-label="CPU time per forwarded packet">'
        "<style>text{font:13px sans-serif;fill:#24292f}.title{font-size:17px;font-weight:600}"
        ".group{font-weight:600}.small{font-size:11px;fill:#57606a}.end{text-anchor:end}</style>"
        f'<rect width="{WIDTH}" height="{height:g}" rx="8" fill="#ffffff"/>'
        '<text x="16" y="28" class="title">CPU time of one packet on one leg</text>'
        '<text x="16" y="48" class="small">microseconds, shorter is better; same traffic and run, median</text>'
    )
    tail = f'<text x="16" y="{height - 12:g}" class="small">{escape(foot)}</text></svg>'
    return "\n".join([head, *lines, tail]) + "\n"


def _bar(bar: Bar, at: float, longest: float) -> list[str]:
    room = WIDTH - LEFT - RIGHT
    cut = bar.us > longest
    wide = room if cut else room * bar.us / longest
    told = f"{bar.us:,.1f} µs" if bar.us < 100 else f"{bar.us:,.0f} µs"
    if bar.ratio is not None:
        told += f" ({bar.ratio:.2f} ×)"
    if cut:
        told += " →"
    middle = at + BAR - 7
    return [
        f'<text x="{LEFT - 8}" y="{middle:g}" class="end">{escape(NAMES.get(bar.engine, bar.engine))}</text>',
        f'<rect x="{LEFT}" y="{at:g}" width="{wide:.1f}" height="{BAR}" rx="3" '
        f'fill="{COLOURS.get(bar.engine, "#57606a")}"/>',
        f'<text x="{LEFT + wide + 6:.1f}" y="{middle:g}">{escape(told)}</text>',
    ]


def _spoken(scenario: str) -> str:
    shape, _, codec = scenario.partition("-")
    publishers, _, viewers = shape.partition("x")
    if scenario == "wall16":
        return "walls of 16 slots, VP8"
    if not (publishers.isdigit() and viewers.isdigit()):
        return scenario
    sources = "1 publisher" if publishers == "1" else f"{publishers} publishers"
    each = "1 viewer" if viewers == "1" else f"{viewers} viewers"
    return f"{sources}, {each}{' each' if publishers != '1' else ''}{', H.264' if codec == 'h264' else ', VP8'}"
