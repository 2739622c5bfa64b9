"""The catalogue of metrics holds what is measured and nothing else."""

from gateway.metrics import CATALOGUE
from tests.support.house import ROOT, sources

OWN = {"scrape_render_duration_seconds"}  # written by the renderer itself


def test_every_metric_is_measured_somewhere():
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources() if path != ROOT / "gateway" / "metrics.py")
    assert not [metric.name for metric in CATALOGUE if f'"{metric.name}"' not in code and metric.name not in OWN]
