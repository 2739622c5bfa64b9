"""Reading: masked addresses, the record on paper word for word, the Atom feed."""

import io
from datetime import UTC, datetime

import pytest
from docx import Document

from gateway.adapters.paper_files import PaperFiles
from gateway.alarms.atom import read_feed
from gateway.ports.paper import said
from gateway.warning.desk import feed_of, paper_of
from protocols.errors import NotFoundError
from tests.support.cap import alert
from tests.support.warning_stage import BASE, TOWN, warning_stage

RED = {"headline": "如东县气象台发布暴雨红色预警", "area": "320623104000"}


async def test_addresses_are_masked_for_those_who_need_not_call(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(**RED))
        await office.settle()
        id_ = (await office.only())["id"]
        seen = str(await office.desk.get(id_, open_=False))
        for private in ("13800000001", "13800000009", "zhang@town.example"):
            assert private not in seen
        assert "138****0001" in seen
        assert "13800000001" in str(await office.desk.get(id_, open_=True))


async def test_the_record_says_who_was_reached_how_and_when_in_every_form(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(status="Exercise", **RED))
        id_ = (await office.only())["id"]
        with pytest.raises(NotFoundError):
            await office.desk.record(id_)
        await office.calls.start(id_, by="officer")
        await office.settle()
        await office.pass_(75)
        await office.calls.confirm_by_link(office.link("张三"))
        await office.pass_(300)
        open_record = paper_of(await office.desk.record(id_))
        assert open_record.notes == ("【演练】", "叫应尚未结束，本记录为截至打印时的情况")
        await office.calls.end(id_, by="officer", why="演练结束")
        document = paper_of(await office.desk.record(id_))
        words = said(document)
        for text in ("张三", "链接确认", "1分15秒", "李四 → 王五", "未应答", "短信", "已受理", "138****0001"):
            assert any(text in one for one in words), text
        word = Document(io.BytesIO(await PaperFiles(None).printed(document, "docx")))
        text = "\n".join(cell.text for table in word.tables for row in table.rows for cell in row.cells)
        assert "链接确认" in text
        assert "李四 → 王五" in text


async def test_an_answer_that_came_late_is_so_named_in_the_record(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(**RED))
        id_ = (await office.only())["id"]
        await office.settle()
        await office.pass_(75)
        await office.calls.confirm_by_link(office.link("张三"))
        await office.pass_(300)
        await office.calls.confirm_by_link(office.link("王五"))
        document = paper_of(await office.desk.record(id_))
        words = said(document)
        assert ("超时应答", "1") in document.parts[0].lines
        (line,) = [row for row in document.parts[1].rows if row[3] == "王五"]
        assert line[6].startswith("6分")
        assert "（超时1分" in line[6]
        (prompt,) = [row for row in document.parts[1].rows if row[3] == "张三"]
        assert prompt[6] == "1分15秒"
        assert "已应答（超时）" in words


async def test_the_feed_names_each_published_warning_and_its_document(tmp_path):
    async with warning_stage(tmp_path) as office:
        first = await office.issue()
        await office.stage.clock.advance(60)
        await office.issue(drill=True)
        published = await office.desk.published(drills=False)
        body = feed_of(published, BASE, "如东县预警", datetime(2026, 1, 1, tzinfo=UTC))
        (entry,) = read_feed(body, BASE).entries
        identifier = (await office.get(first))["identifier"]
        assert entry.link == f"{BASE}/feeds/warnings/{identifier}.xml"
        assert (await office.desk.published_one(identifier, drills=False)).id == first
        drill = (await office.desk.published(drills=True))[0].identifier
        with pytest.raises(NotFoundError):
            await office.desk.published_one(drill, drills=False)
        empty = feed_of([], BASE, "x", datetime(2026, 1, 1, tzinfo=UTC))
        assert read_feed(empty, BASE).entries == ()


def test_a_quiet_feed_renews_its_time_and_stays_the_same_for_ten_minutes():
    bodies = [feed_of([], BASE, "x", datetime(2026, 1, 1, 0, minute, 7, tzinfo=UTC)) for minute in (1, 9, 10)]
    assert bodies[0] == bodies[1] != bodies[2]
    assert read_feed(bodies[2], BASE).updated == datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
