"""Commands that last are taken up again after a restart; others are not kept."""

from datetime import UTC, datetime

from edge_agent.journal import Journal
from protocols.command import Command, CommandName
from protocols.ids import ulid


def command(name=CommandName.ROLLCALL_RING, number=1):
    return Command(
        command_id=ulid(number, bytes(10)), name=name, target="320623-box", origin="320600",
        deadline=datetime(2026, 11, 29, tzinfo=UTC), args={"challenge": "4729"},
    )  # fmt: skip


def test_a_ring_is_kept_until_it_was_answered(tmp_path):
    journal = Journal(tmp_path / "open")
    assert journal.open() == []
    journal.begin(command())
    journal.begin(command(CommandName.MEDIA_PUBLISH, 2))
    assert Journal(tmp_path / "open").open() == [command()]
    journal.end(command())
    journal.end(command())
    assert journal.open() == []


def test_what_cannot_be_read_is_said_and_removed(tmp_path, caplog):
    journal = Journal(tmp_path)
    (tmp_path / "bad.json").write_text("{")
    assert journal.open() == []
    assert "open command is lost" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_costs_only_the_survival(tmp_path, caplog):
    Journal(tmp_path / "no" / "such").begin(command())
    assert "open command is not on disk" in caplog.text
