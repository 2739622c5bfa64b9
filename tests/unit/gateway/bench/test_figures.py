"""Figures: percentiles only with enough samples, limits, one flat object; and the chart drawn from them."""

import xml.etree.ElementTree as ET

import pytest

from gateway.bench.figures import Figures, Reach, percentile
from gateway.bench.picture import Bar, chart


def test_a_percentile_is_one_of_the_values():
    assert percentile([3, 1, 2, 4], 0.5) == 2
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([7], 0.95) == 7
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_with_few_samples_the_maximum_is_told_under_its_own_name():
    figures = Figures()
    figures.ranked("join_p95_s", [0.1] * 49 + [0.9], 50)
    assert figures.values == {"join_p95_s": 0.1, "samples_join_p95_s": 50}
    few = Figures()
    few.ranked("join_p95_s", [0.1, 0.4], 50)
    assert few.values == {"join_max_s": 0.4, "samples_join_max_s": 2}


def test_the_key_says_which_percentile_it_is():
    figures = Figures()
    figures.ranked("commit_p50_ms", list(range(1, 101)), 50)
    figures.ranked("commit_p99_ms", list(range(1, 101)), 50)
    assert (figures.values["commit_p50_ms"], figures.values["commit_p99_ms"]) == (50, 99)
    with pytest.raises(AssertionError):
        figures.ranked("commit_ms", [1.0], 50)


def test_a_figure_may_have_to_be_reached():
    figures = Figures()
    figures.put("alarms_per_s", 4000.0)
    assert figures.missed([Reach("alarms_per_s", 5000, at_least=True)]) == [
        "alarms_per_s is 4000, wanted at least 5000"
    ]
    assert figures.missed([Reach("alarms_per_s", 4000, at_least=True)]) == []


def test_only_what_was_measured_can_miss_its_reach():
    figures = Figures()
    figures.put("a", 0.6)
    figures.put("b", 0.2)
    missed = figures.missed([Reach("a", 0.5), Reach("b", 0.5), Reach("c", 0.5)])
    assert missed == ["a is 0.6, wanted at most 0.5"]


def test_the_object_is_flat():
    figures = Figures()
    figures.put("x", 1.23456789, samples=3)
    figures.note("one")
    figures.note("one")
    assert figures.document() == {"x": 1.235, "samples_x": 3, "notes": "one"}


def test_the_chart_is_svg_and_cuts_what_is_too_long():
    text = chart(
        [Bar("1x100", "batched", 5.0, 0.4), Bar("1x100", "janus", 12.5), Bar("1x100", "relay", 1800.0)], "a <b>"
    )
    root = ET.fromstring(text)
    words = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert "5.0 µs (0.40 ×)" in words
    assert "1,800 µs →" in words
    assert "a <b>" in words
    widths = [float(node.get("width")) for node in root.iter() if node.get("height") == "22"]
    assert widths[0] < widths[1] < widths[2]
