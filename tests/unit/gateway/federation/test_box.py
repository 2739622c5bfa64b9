"""The box's own health."""

from pathlib import Path

from gateway.federation.box import box_health


def test_ratios_are_ratios_and_sizes_are_there(tmp_path: Path) -> None:
    box = box_health(tmp_path, 7)
    assert box.spool_records == 7
    assert box.cpu_ratio is not None
    assert 0 <= box.cpu_ratio <= 1
    assert box.memory_ratio is None or 0 <= box.memory_ratio <= 1
    assert box.disk_free_bytes
    assert box.uptime_s
