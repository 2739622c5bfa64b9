"""Snapshots: what is a whole JPEG, whose clock is believed, and which stream's turn it is on one link."""

from datetime import UTC, datetime, timedelta, timezone

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadClockError, BadMediaError, BadSchemaError, ExpiredError, SilianError, TooLargeError
from protocols.snapshot import (
    AGAIN_S,
    AGE_MS,
    AHEAD_S,
    BEHIND_S,
    EVERY_S,
    LEAST_REST_S,
    MOST_BYTES,
    OLDEST_S,
    SHARE,
    TAKEN_AT,
    Snapshot,
    SnapshotTurns,
    age_at,
    headers_of,
    jpeg_size,
    times_of,
)

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)


def jpeg(width=64, height=48, *options):
    good, data = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8), list(options))
    assert good
    return data.tobytes()


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
def test_the_size_of_a_jpeg_is_read_without_decoding_it(options):
    assert jpeg_size(jpeg(64, 48, *options)) == (64, 48)


def test_fill_bytes_and_other_segments_are_walked_over():
    data = jpeg()
    assert jpeg_size(data[:2] + b"\xff\xfe\x00\x04hi\xff" + data[2:]) == (64, 48)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        b"GIF89a" + bytes(40),
        jpeg()[:-1],
        jpeg()[2:],
        b"\xff\xd8\xff\xfe\x00\x00" + jpeg()[2:],  # a segment without a length
        b"\xff\xd8\xff\xfe\xff\xff" + jpeg()[2:],  # one that leads out of the file
        b"\xff\xd8\xff\xda\x00\x08" + jpeg()[2:],  # a scan before any frame
        jpeg(2000, 1081),
        jpeg().replace(b"\x00\x30\x00\x40", b"\x00\x00\x00\x40"),
    ],
)
def test_what_is_no_picture_that_can_be_shown(data):
    with pytest.raises(BadMediaError):
        jpeg_size(data)


def test_too_many_bytes_are_refused_before_anything_is_read():
    with pytest.raises(TooLargeError):
        jpeg_size(b"\xff\xd8" + bytes(MOST_BYTES))


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_a_size_or_a_named_error(noise, at):
    for data in (noise, b"\xff\xd8" + noise + b"\xff\xd9", jpeg()[:at] + noise + jpeg()[at:]):
        try:
            width, height = jpeg_size(data)
        except SilianError:
            continue
        assert width > 0
        assert height > 0


def test_the_headers_say_again_what_was_put_into_them():
    shanghai = timezone(timedelta(hours=8))
    sent = Snapshot("320623/room", b"", NOW.astimezone(shanghai), 1.25)
    headers = headers_of(sent)
    assert times_of(headers[TAKEN_AT], headers[AGE_MS]) == (NOW, 1.25)


@pytest.mark.parametrize(
    ("taken_at", "age_ms"),
    [
        (None, "1"),
        (NOW.isoformat(), None),
        ("yesterday", "1"),
        ("2026-06-01T08:00:00", "1"),
        (NOW.isoformat(), "-1"),
        (NOW.isoformat(), "1.5"),
        (NOW.isoformat(), "9" * 400),
        (NOW.isoformat(), "9" * 5000),
    ],
)
def test_times_that_are_missing_or_mean_nothing(taken_at, age_ms):
    with pytest.raises(BadSchemaError):
        times_of(taken_at, age_ms)


@pytest.mark.parametrize(
    ("clock_says", "sender_says", "found"),
    [(1.0, 1.0, 1.0), (4.0, 1.0, 4.0), (0.5, 2.0, 2.0), (-AHEAD_S, 0.0, 0.0), (20.0, 18.0, 20.0)],
)
def test_the_age_is_the_greater_of_what_both_clocks_say(clock_says, sender_says, found):
    assert age_at(NOW - timedelta(seconds=clock_says), sender_says, NOW) == pytest.approx(found)


@pytest.mark.parametrize(
    ("clock_says", "sender_says", "error"),
    [
        (-AHEAD_S - 0.1, 0.0, BadClockError),
        (BEHIND_S + 1.1, 1.0, BadClockError),
        (3600.0, 1.0, BadClockError),
        (0.0, 20.0, BadClockError),
        (OLDEST_S + 1, OLDEST_S, ExpiredError),
    ],
)
def test_clocks_that_contradict_each_other_and_pictures_that_are_too_old(clock_says, sender_says, error):
    with pytest.raises(error):
        age_at(NOW - timedelta(seconds=clock_says), sender_says, NOW)


def test_one_at_a_time_and_never_closer_than_agreed():
    turns = SnapshotTurns()
    assert turns.due(0.0, ["a"]) == "a"
    assert turns.due(0.1, ["a", "b"]) is None  # the line is busy
    turns.done(0.1, good=True)
    assert turns.due(0.2, ["a", "b"]) is None  # and rests
    assert turns.due(0.1 + LEAST_REST_S, ["a", "b"]) == "b"
    turns.done(1.2, good=True)
    assert turns.due(1.2 + LEAST_REST_S, ["a", "b"]) is None
    assert turns.due(0.1 + EVERY_S, ["a", "b"]) == "a"


def test_a_slow_line_rests_the_longer():
    turns = SnapshotTurns()
    turns.due(0.0, ["a"])
    turns.done(3.0, good=True)
    assert turns.due(3.0 + SHARE * 3.0 - 0.1, ["a", "b"]) is None
    assert turns.due(3.0 + SHARE * 3.0, ["a", "b"]) == "b"


def test_what_was_refused_waits_longer():
    turns = SnapshotTurns()
    turns.due(0.0, ["a"])
    turns.done(0.1, good=False)
    assert turns.due(0.1 + EVERY_S, ["a"]) is None
    assert turns.due(0.1 + AGAIN_S, ["a"]) == "a"


def test_a_stream_that_had_come_back_is_sent_at_once_when_it_goes_again():
    turns = SnapshotTurns()
    turns.due(0.0, ["a"])
    turns.done(0.1, good=True)
    assert turns.due(2.0, []) is None
    assert turns.due(2.1, ["a"]) == "a"
    turns.done(2.2, good=True)
    turns.done(9.0, good=True)  # the end of nothing changes nothing
    assert turns.due(7.3, ["a"]) == "a"


@given(
    st.lists(
        st.tuples(st.floats(0.01, 3), st.sets(st.sampled_from("abcde")), st.floats(0, 4), st.booleans()), max_size=60
    )
)
def test_over_any_course_the_line_rests_four_fifths_of_the_time_and_each_stream_its_own(course):
    turns, now, free_at, last = SnapshotTurns(), 0.0, 0.0, {}
    for pause, dark, took, good in course:
        now += pause
        stream = turns.due(now, dark)
        last = {name: at for name, at in last.items() if name in dark}
        if stream is None:
            continue
        assert stream in dark
        assert now >= free_at
        assert now - last.get(stream, -EVERY_S) >= EVERY_S - 1e-6
        now += took
        turns.done(now, good=good)
        free_at, last[stream] = now + max(LEAST_REST_S, SHARE * took) - 1e-6, now
