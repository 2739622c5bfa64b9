"""promtool's own lint on every metric of the catalogue."""

import shutil
import subprocess

import pytest

from gateway.metrics import CATALOGUE, Kind, Metrics


@pytest.mark.external
def test_promtool_finds_nothing_to_say():
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install prometheus"
    metrics = Metrics()
    for metric in CATALOGUE:
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind is Kind.HISTOGRAM:
            metrics.observe(metric.name, 0.1, **labels)
        elif metric.kind is Kind.COUNTER:
            metrics.count(metric.name, **labels)
        elif metric.name != "scrape_render_duration_seconds":
            names = tuple(labels.values())
            metrics.live(metric.name, lambda names=names: [(names, 1.0)])
    metrics.take_snapshot()
    done = subprocess.run([promtool, "check", "metrics"], input=metrics.render(), capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
