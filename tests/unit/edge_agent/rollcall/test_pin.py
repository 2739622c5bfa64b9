"""The PIN: made once, tried slowly, and a cookie that only this box can have given."""

import pytest

from edge_agent.rollcall.pin import LOCK_S, STAYS_S, TRIES, PinDoor, made_pin
from protocols.aio.clock import ManualClock
from protocols.errors import ConfigError, LockedError, NotAuthenticatedError


@pytest.fixture
def clock():
    return ManualClock()


def test_a_box_makes_its_pin_once_and_keeps_it_to_itself(tmp_path):
    pin = made_pin(tmp_path)
    assert pin.isdigit()
    assert len(pin) == 6
    assert made_pin(tmp_path) == pin
    assert (tmp_path / "answer-pin").stat().st_mode & 0o077 == 0


def test_the_cookie_outlives_a_restart_and_ends_with_the_pin(tmp_path, clock):
    door = PinDoor(tmp_path, None, clock)
    cookie = door.open(f" {made_pin(tmp_path).decode()} ")
    assert door.known(cookie)
    assert PinDoor(tmp_path, None, clock).known(cookie)
    (tmp_path / "answer-pin").write_text("another-pin")
    assert not PinDoor(tmp_path, None, clock).known(cookie)
    clock.step(STAYS_S + 1)
    assert not door.known(cookie)


@pytest.mark.parametrize("cookie", [None, "", "x", "9999999999.", "9999999999.00", "-1.x", "9999999999.Ж"])
def test_a_forged_cookie_opens_nothing(tmp_path, clock, cookie):
    assert not PinDoor(tmp_path, None, clock).known(cookie)


async def test_wrong_pins_lock_the_door_for_a_while(tmp_path, clock):
    door = PinDoor(tmp_path, None, clock)
    for _ in range(TRIES):
        with pytest.raises(NotAuthenticatedError):
            door.open("wrong")
    right = made_pin(tmp_path).decode()
    with pytest.raises(LockedError) as locked:
        door.open(right)
    assert 0 < locked.value.retry_after_s <= LOCK_S + 1
    await clock.advance(LOCK_S + 1)
    assert door.known(door.open(right))
    assert door.counters == {"wrong": TRIES, "locked": 1, "opened": 1}


@pytest.mark.parametrize("content", ["123", "x" * 33, None])
def test_a_pin_file_that_cannot_be_used_is_named(tmp_path, clock, content):
    file = tmp_path / "pin"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"answer_page\.pin_file"):
        PinDoor(tmp_path, file, clock)


def test_the_operators_own_pin_is_taken(tmp_path, clock):
    file = tmp_path / "pin"
    file.write_text("值班2468\n")
    door = PinDoor(tmp_path, file, clock)
    assert door.known(door.open("值班2468"))


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path, clock):
    with pytest.raises(ConfigError, match="state directory"):
        PinDoor(tmp_path / "gone", None, clock)
