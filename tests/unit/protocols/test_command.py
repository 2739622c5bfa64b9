from datetime import UTC, datetime, timedelta

import pytest

from protocols.command import (
    CommandName,
    MediaPublish,
    RollCallAnswer,
    RollCallRing,
    RosterName,
    parse_args,
    parse_command,
)
from protocols.duty import DutyRole
from protocols.errors import BadSchemaError
from protocols.ids import ulid

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def raw(**changes):
    body = {
        "command_id": ulid(1, bytes(10)),
        "name": CommandName.MEDIA_PUBLISH,
        "target": "320612-box",
        "origin": "320600",
        "deadline": NOW.isoformat(),
        "args": {"stream": "320612/room", "whip_url": "http://127.0.0.1/whip", "token": "t", "until": NOW.isoformat()},
    }
    return body | changes


def test_a_command_expires_at_its_deadline():
    command = parse_command(raw())
    assert command.expired(NOW)
    assert not command.expired(NOW - timedelta(milliseconds=1))


def test_arguments_are_typed_and_unknown_ones_kept():
    args = parse_args(MediaPublish, parse_command(raw()).args | {"later": 1})
    assert args.stream == "320612/room"
    assert args.model_dump()["later"] == 1


@pytest.mark.parametrize("change", [{"target": "nobody"}, {"deadline": "soon"}, {"command_id": "x"}, {"args": []}])
def test_bad_commands_name_the_field(change):
    with pytest.raises(BadSchemaError, match=next(iter(change))):
        parse_command(raw(**change))


def test_unknown_names_still_parse():
    assert parse_command(raw(name="future.thing")).name == "future.thing"


def test_an_older_county_answers_without_the_new_words():
    answer = parse_args(
        RollCallAnswer,
        {"answered_by": "自动应答", "answered_at": NOW, "camera": {"verdict": "live", "checked_at": NOW}},
    )
    assert (answer.by, answer.leader, answer.people, answer.note) == (None, "", None, "")


def test_a_ring_carries_names_without_phones():
    ring = RollCallRing(
        roll_call_id=ulid(1, bytes(10)),
        centre="320623",
        camera="room",
        roster=(RosterName(name="王芳", role=DutyRole.LEADER),),
    )
    assert parse_args(RollCallRing, ring.model_dump(mode="json")) == ring
    assert set(RosterName.model_fields) == {"name", "role"}
