import re

import pytest

from gateway.metrics import CATALOGUE, NAMES, Kind, Metrics


def test_names_are_unique_and_carry_base_units():
    assert len(NAMES) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
        assert not re.search(r"_(ms|us|ns|kb|mb|percent)(_|$)", metric.name), metric.name
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM), metric.name
        assert not {"id", "session", "address", "user", "stream"} & set(metric.labels), metric.name


def test_counted_observed_and_live_values_are_rendered():
    metrics = Metrics()
    links = {"320623": 1.0}
    metrics.live("link_up", lambda: [((code, f"{code}-box", "control"), up) for code, up in links.items()])
    metrics.live("broker_restarts_total", lambda: [((), 4.0)])
    metrics.count("link_reconnects_total", centre="320623", reason="timeout")
    metrics.count("audit_records_total", 3)
    metrics.observe("event_loop_lag_seconds", 0.004)
    metrics.take_snapshot()
    text = metrics.render().decode()
    assert 'silian_link_up{centre="320623",node="320623-box",plane="control"} 1.0' in text
    assert "silian_broker_restarts_total 4.0" in text
    assert 'silian_link_reconnects_total{centre="320623",reason="timeout"} 1.0' in text
    assert "silian_audit_records_total 3.0" in text
    assert 'silian_event_loop_lag_seconds_bucket{le="0.005"} 1.0' in text
    assert "silian_scrape_render_duration_seconds " in text
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text

    links.clear()  # a centre that left vanishes
    metrics.take_snapshot()
    assert "320623-box" not in metrics.render().decode()


def test_what_is_not_in_the_catalogue_is_refused_at_once():
    metrics = Metrics()
    with pytest.raises(KeyError):
        metrics.count("made_up_total")
    with pytest.raises(ValueError, match="label"):
        metrics.count("link_reconnects_total", centre="320623", colour="red")
    with pytest.raises(ValueError, match="gauge"):
        metrics.count("link_up", centre="320623", node="320623-box", plane="control")
    metrics.count("audit_records_total")
    with pytest.raises(ValueError, match="counted already"):
        metrics.live("audit_records_total", list)


def test_one_failing_source_does_not_spoil_the_scrape(caplog):
    metrics = Metrics()

    def broken():
        raise OSError("gone")

    metrics.live("db_size_bytes", broken)
    metrics.live("tasks", lambda: [((), 7.0)])
    metrics.take_snapshot()
    assert "silian_tasks 7.0" in metrics.render().decode()
    assert "metric source failed" in caplog.text
