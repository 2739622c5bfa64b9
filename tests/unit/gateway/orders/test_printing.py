"""What is printed of an order reads back as what is stored, letter for letter."""

import io
import shutil
import subprocess

import pytest
from docx import Document

from gateway.adapters.paper_files import PaperFiles
from gateway.orders import phrases
from gateway.orders.printing import OrderPrinter, document_of
from gateway.ports.paper import MEDIA_TYPES, said
from protocols.aio.clock import ManualClock
from protocols.order import AnswerWay, Deed, OrderState
from tests.support.orders_stage import BOX_ONLY, CITY, CONTENT, COUNTY, orders_stage


async def test_an_order_is_printed_with_what_each_unit_said(tmp_path):
    clock = ManualClock()
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city = stage.offices[CITY]
        wanted = CONTENT.model_copy(
            update={"content": "立即转移\n并于两小时内报告 #1 *重要*", "papers": ("应急〔2026〕3号",)}
        )
        draft = await city.orders.room.draft(wanted, drill=False, by="zhang")
        assert phrases.PAPER_DRAFT in document_of(await city.get(draft)).notes
        id_ = await city.issue(wanted, drill=True)
        await clock.advance(60)
        say = city.orders.answering.say
        await say(id_, BOX_ONLY, Deed.ACKNOWLEDGED, noted_by="zhang", by="孙七", way=AnswerWay.PHONE)
        await say(id_, BOX_ONLY, Deed.FEEDBACK, noted_by="zhang", by="孙七", way=AnswerWay.PHONE, text="已转移 40 人")
        await city.orders.room.chase(id_, COUNTY, "请立即签收", by="li")
        await city.orders.room.revoke(id_, "情况有变", by="li")
        order = await city.get(id_)
        made = document_of(order)
        assert made.heading == CONTENT.title
        assert phrases.DRILL in made.notes
        assert any("情况有变" in note for note in made.notes)
        words = said(made)
        for text in (
            "立即转移",
            "应急〔2026〕3号",
            "孙七（电话），zhang 记录",
            "已转移 40 人",
            "请立即签收",
            phrases.CHASE,
        ):
            assert text in words
        content, media_type = await OrderPrinter(PaperFiles(None)).printed(order, "docx")
        document = Document(io.BytesIO(content))
        read = [paragraph.text for paragraph in document.paragraphs]
        read += [cell.text for table in document.tables for row in table.rows for cell in row.cells]
        assert set(words) <= set(read)
        assert media_type == MEDIA_TYPES["docx"]


def squeezed(text):
    return "".join(text.split())


@pytest.mark.external
async def test_the_pdf_of_an_order_reads_back_as_what_is_stored(tmp_path):
    program = shutil.which("pdftotext")
    assert program, "tests/support/system.sh installs poppler-utils"
    async with orders_stage(tmp_path, ManualClock(), CITY, COUNTY) as stage:
        city = stage.offices[CITY]
        wanted = CONTENT.model_copy(
            update={"content": "立即转移\n并于两小时内报告 #1 *重要*", "papers": ("应急〔2026〕3号",)}
        )
        id_ = await city.issue(wanted, drill=True)
        say = city.orders.answering.say
        await say(id_, BOX_ONLY, Deed.ACKNOWLEDGED, noted_by="zhang", by="孙七", way=AnswerWay.PHONE)
        await say(id_, BOX_ONLY, Deed.FEEDBACK, noted_by="zhang", by="孙七", way=AnswerWay.PHONE, text="已转移 40 人")
        order = await city.get(id_)
    content, media_type = await OrderPrinter(PaperFiles(None)).printed(order, "pdf")
    done = subprocess.run([program, "-raw", "-", "-"], input=content, capture_output=True, check=True)
    read = squeezed(done.stdout.decode())
    assert media_type == MEDIA_TYPES["pdf"]
    missing = [text for text in said(document_of(order)) if squeezed(text) not in read]
    assert not missing, (missing, read)
    stored = [order["title"], order["number"], *order["content"].splitlines(), *order["papers"], order["issuer_name"]]
    stored += [text for line in order["lines"] for text in (line["name"], line["unit"])]
    stored += [text for line in order["lines"] for one in line["entries"] for text in (one["by"], one["text"]) if text]
    assert [text for text in stored if squeezed(text) not in read] == []


def test_every_state_deed_and_way_has_its_word():
    assert set(phrases.STATES) == {state.value for state in OrderState}
    assert set(phrases.DEEDS) == {deed.value for deed in Deed}
    assert set(phrases.WAYS) == {way.value for way in AnswerWay}
