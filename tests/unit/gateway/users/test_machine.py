from datetime import UTC, datetime, timedelta

import pytest

from gateway.users.machine import Door, check_password
from protocols.errors import BadInputError

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def after(failures, now=NOW):
    door = Door()
    for _ in range(failures):
        door = door.failed(now, 5, 300)
    return door


def test_the_fifth_failure_locks_and_the_fourth_does_not():
    assert after(4).wait_s(NOW) is None
    assert after(5).wait_s(NOW) == 300
    assert after(5).wait_s(NOW + timedelta(seconds=299.5)) == 1
    assert after(5).wait_s(NOW + timedelta(seconds=300)) is None


def test_after_a_lock_five_new_tries_are_given():
    later = NOW + timedelta(seconds=301)
    door = after(5).failed(later, 5, 300)
    assert (door.failures, door.wait_s(later)) == (1, None)


@pytest.mark.parametrize("password", ["", "short", "x" * 129, "aaaaaaaaaaaa", "Wang.wei-2026"])
def test_weak_passwords_are_refused(password):
    with pytest.raises(BadInputError):
        check_password(password, "wang.wei")


def test_a_sound_password_is_taken():
    check_password("紫金山-长江-黄海-1000", "wang.wei")
