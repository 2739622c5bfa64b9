import socket
from datetime import timedelta

from edge_agent.diary import FILE, DiaryKeeper, carrier, reaches_itself
from protocols.aio.clock import ManualClock
from protocols.diary import NOTICE_S, PENDING, Ending, Observation
from protocols.errors import SpoolFullError

NODE = "320623-box"


class Spool:
    """Takes records; `full` refuses them."""

    def __init__(self):
        self.took, self.full = [], False

    async def put(self, event_id, record):
        if self.full:
            raise SpoolFullError("no room")
        self.took.append((event_id, record))


def keeper(folder, clock, spool):
    return DiaryKeeper(folder, NODE, clock, spool.put)


async def well(made, clock, seconds=30, **values):
    for _ in range(seconds // 5):
        await made.look(Observation(at=clock.now(), **values))
        await clock.advance(5)


async def test_a_cut_gives_one_record_which_is_queued_once(tmp_path):
    clock, spool = ManualClock(), Spool()
    made = keeper(tmp_path, clock, spool)
    await well(made, clock)
    made.link(True)
    await well(made, clock)
    assert spool.took == []
    made.link(False)
    cut = clock.now() - timedelta(seconds=NOTICE_S)
    back = clock.now() + timedelta(seconds=600)
    await well(made, clock, 600)
    made.link(True)
    await well(made, clock)
    ((event_id, record),) = spool.took
    assert len(event_id) == 26
    assert (record.began_at, record.ended_at) == (cut, back)
    assert not made.diary.book.pending


async def test_a_full_spool_keeps_the_record_owed_under_the_same_id_over_a_restart(tmp_path):
    clock, spool = ManualClock(), Spool()
    made = keeper(tmp_path, clock, spool)
    await well(made, clock)
    made.link(True)
    made.link(False)
    await well(made, clock)
    spool.full = True
    made.link(True)
    await well(made, clock)
    owed = made.diary.book.pending[0].event_id
    assert made.counters["unsent"] > 0
    again, spool.full = keeper(tmp_path, clock, spool), False
    await well(again, clock)
    assert [event_id for event_id, _ in spool.took] == [owed]


async def test_a_loss_of_power_is_told_after_the_restart_with_the_last_word_before(tmp_path):
    clock, spool = ManualClock(), Spool()
    made = keeper(tmp_path, clock, spool)
    made._boot_id = "before"
    await well(made, clock)
    made.link(True)
    await well(made, clock, on_battery=True, battery_ratio=0.08)
    await clock.advance(900)
    again = keeper(tmp_path, clock, spool)
    await well(again, clock, on_battery=False, battery_ratio=0.5)
    again.link(True)
    await well(again, clock, on_battery=False, battery_ratio=0.5)
    ((_, record),) = spool.took
    silence = next(span for span in record.spans if span.ending is not None)
    before = record.spans[record.spans.index(silence) - 1]
    assert silence.ending is Ending.REBOOT
    assert (before.on_battery, before.battery_ratio) == (True, 0.08)
    assert (silence.ended_at - silence.began_at) >= timedelta(seconds=900)


async def test_a_stop_in_good_order_is_told_as_such(tmp_path):
    clock, spool = ManualClock(), Spool()
    made = keeper(tmp_path, clock, spool)
    await well(made, clock)
    made.link(True)
    await made.close()
    await clock.advance(60)
    again = keeper(tmp_path, clock, spool)
    await well(again, clock)
    again.link(True)
    await well(again, clock)
    assert [span.ending for span in spool.took[0][1].spans if span.ending] == [Ending.STOPPED]


async def test_a_damaged_diary_is_set_aside_and_begun_anew(tmp_path):
    (tmp_path / FILE).write_text("{half a diary")
    made = keeper(tmp_path, ManualClock(), Spool())
    assert made.counters["damaged"] == 1
    assert (tmp_path / "diary.damaged").read_text() == "{half a diary"
    await made.look(Observation(at=ManualClock().now()))
    assert (tmp_path / FILE).exists()


async def test_a_diary_that_cannot_be_kept_goes_on_in_memory(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    made = keeper(folder, ManualClock(), Spool())
    folder.rmdir()
    await made.look(Observation(at=ManualClock().now()))
    assert made.diary.changed, "tried again at the next look"
    folder.mkdir()
    await made.look(Observation(at=ManualClock().now()))
    assert made.counters["saved"] == 1


async def test_what_the_machine_says_of_its_lines(tmp_path):
    assert carrier(tmp_path) is None
    for name, state in (("lo", "1"), ("eth0", "0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "carrier").write_text(state)
    assert carrier(tmp_path) is False
    (tmp_path / "eth1").mkdir()
    assert carrier(tmp_path) is False
    (tmp_path / "eth0" / "carrier").write_text("1\n")
    assert carrier(tmp_path) is True


async def test_a_node_reaches_itself_by_its_own_door():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        assert not await reaches_itself(port)
        door.listen()
        assert await reaches_itself(port)
    assert await reaches_itself(None)


async def test_a_record_that_gives_way_is_counted_and_told(tmp_path, caplog):
    clock, spool = ManualClock(), Spool()
    spool.full = True
    made = keeper(tmp_path, clock, spool)
    await well(made, clock)
    for _ in range(PENDING + 3):
        made.link(True)
        await well(made, clock, 10)
        made.link(False)
        await well(made, clock, 60)
    assert len(made.diary.book.pending) == PENDING
    assert made.counters["overtaken"] == made.diary.overtaken > 0
    assert "gave way" in caplog.text
