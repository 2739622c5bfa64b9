"""Endings are named by who knows best; a quota refuses and removes nothing."""

from datetime import UTC, datetime, timedelta

from gateway.recordings.machine import GIB, Ending, Quota, ending_of, ends_at, part_number


def test_a_quota_is_full_when_it_is_reached():
    assert not Quota(1.0).full(GIB - 1)
    assert Quota(1.0).full(GIB)
    assert Quota(0).full(0), "no room at all"


def test_a_limit_counts_from_the_start():
    start = datetime(2026, 5, 1, tzinfo=UTC)
    assert ends_at(start, None) is None
    assert ends_at(start, 90) == start + timedelta(seconds=90)


def test_what_the_engine_says_goes_before_who_asked():
    assert ending_of("closed", Ending.STOPPED) is Ending.STOPPED
    assert ending_of("disk", Ending.STOPPED) is Ending.DISK
    assert ending_of("source_gone", Ending.TIME) is Ending.NO_PICTURE
    assert ending_of("closed", None) is Ending.FAILED


def test_parts_are_known_by_their_names():
    assert [part_number(name, "01AB") for name in ("01AB.mp4", "01AB.2.mkv", "01AB.10.mp4")] == [1, 2, 10]
    assert [part_number(name, "01AB") for name in ("01ABC.mp4", "01AB.txt", "01AB.x.mp4", "recorder.sock")] == [
        None
    ] * 4
