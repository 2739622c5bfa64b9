"""What the judges of pictures say of the corpus, as a confusion matrix. `python -m gateway.bench.verdicts --help`.

Key frames go through the decoder that serves stills and the watch that a roll call uses; only time is not waited for.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from gateway.adapters.media_embedded.decoder import decode
from gateway.adapters.media_embedded.pictures import figures_told
from gateway.bench.corpus import RATE, Scene, coded, scenes
from protocols.defects import Finding, PictureWatch
from protocols.grain import Grain
from protocols.picture import Sample
from protocols.rollcall import CheckResult

WATCH_S = 12.0
LOOK_S = 1.5
"""A roll call looks so often."""
WITHIN_S = 10.0
"""A repeated picture that can be proven is called frozen so soon."""


def word(finding: Finding) -> str:
    """Return what was found as one word."""
    if finding.result is CheckResult.GOOD:
        return "live"
    return finding.defect.value if finding.defect is not None else finding.result.value


def judged(scene: Scene, seed: int, kbps: int, seconds: float = WATCH_S) -> tuple[str, float | None]:
    """Return the last word on a scene, and after how many seconds it was first called frozen."""
    watch, frozen_at, last = PictureWatch("320623", observe_s=8.0, demanded=scene.demanded), None, -LOOK_S
    for number, (key, unit) in enumerate(coded(scene, seed, kbps, seconds)):
        at = number / RATE
        if not key or at - last < LOOK_S - 1e-6:
            continue
        last = at
        look, _ = decode("h264", unit)
        figures = figures_told(look.figures)
        sample = Sample(
            at, look.mean, look.deviation, bytes.fromhex(look.thumb), grain=Grain(figures.grain), exact=figures.exact
        )
        watch.look(sample, figures, round(at * 1000))
        if word(watch.finding(at)) == "frozen" and frozen_at is None:
            frozen_at = at
    return word(watch.finding(last)), frozen_at


def matrix(seeds: range, say: bool = True) -> dict[str, Counter[str]]:  # noqa: FBT001, FBT002 - a plain switch
    """Judge the whole corpus; rows are scenes at a bit rate."""
    found: dict[str, Counter[str]] = {}
    for scene in scenes():
        for kbps in scene.rates:
            row = found.setdefault(f"{scene.name} @ {kbps} kbit/s", Counter())
            for seed in seeds:
                row[judged(scene, seed, kbps)[0]] += 1
            if say:
                sys.stdout.write(f"{scene.name:34} {kbps:5} kbit/s  {dict(row)}  {'|'.join(scene.truth)}\n")
                sys.stdout.flush()
    return found


def faults(found: dict[str, Counter[str]]) -> dict[str, int]:
    """Count what must never be: a picture called live that is not, one called frozen that lives, other wrong words."""
    truth = {f"{scene.name} @ {kbps} kbit/s": scene for scene in scenes() for kbps in scene.rates}
    counts = Counter({"pictures": 0, "false_present": 0, "false_frozen": 0, "wrong": 0, "unproven": 0})
    for name, row in found.items():
        scene = truth[name]
        counts["pictures"] += row.total()
        counts["unproven"] += row["unproven"]
        counts["false_present"] += 0 if "live" in scene.truth else row["live"]
        counts["false_frozen"] += 0 if "frozen" in scene.truth else row["frozen"]
        counts["wrong"] += sum(number for said, number in row.items() if said not in scene.truth)
    return dict(counts)


def main() -> int:
    """Print the matrix; 1 where something was called live or frozen that is not."""
    parser = argparse.ArgumentParser(description="confusion matrix of the picture checks")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="seeds from --seed on")
    parser.add_argument("--json", type=Path, default=None)
    chosen = parser.parse_args()
    found = matrix(range(chosen.seed, chosen.seed + chosen.rounds))
    counts = faults(found)
    sys.stdout.write(f"{counts}\n")
    if chosen.json is not None:
        rows = {name: dict(row) for name, row in found.items()}
        chosen.json.write_text(json.dumps({"seed": chosen.seed, "rounds": chosen.rounds, **counts, "matrix": rows}))
    return 1 if counts["false_present"] or counts["false_frozen"] else 0


if __name__ == "__main__":
    sys.exit(main())
