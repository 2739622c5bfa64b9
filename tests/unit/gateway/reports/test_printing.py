"""What is printed reads back as what is stored, letter for letter."""

import io
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from gateway.adapters.paper_files import PaperFiles
from gateway.ports.paper import said
from gateway.reports.printing import Printer
from protocols.errors import NeedsError, NotFoundError
from protocols.report import Content, Figure, Flag, Verification
from protocols.tiers import NANTONG, CentreTable

AT = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)
CONTENT = Content(
    title="洋口港储罐泄漏",
    category="work",
    occurred_at=AT,
    place="如东县洋口镇",
    centre="320623",
    summary="二号储罐阀门处可燃气体泄漏，现场已疏散。",
    measures="关闭阀门，喷淋稀释",
    reporter="王五",
    source="企业报告",
    deaths=Figure(value=2, source="县医院", verification=Verification.VERIFIED),
    missing=Figure(value=1, source="企业"),
    flags=(Flag.PLACE,),
    requests="请求市级专家组 #支援 *x* $y$",
)
VERSION = {
    "version": 2,
    "kind": "followup",
    "number": 1,
    "corrects": None,
    "content": CONTENT.model_dump(mode="json"),
    "changed": ["deaths"],
    "reasons": {"deaths": "一人重复统计"},
    "confirmed": 4,
    "possible": 3,
    "known_at": AT,
    "signed_by": "李四",
    "signed_at": AT,
}
SENT = {
    "version": 2,
    "to": "320600",
    "delivered_at": AT,
    "acknowledged_at": AT,
    "acknowledged_by": "赵六",
}
REPORT = {"serial": "320623-20260301-0001", "drill": True, "known_at": AT, "versions": [VERSION], "deliveries": [SENT]}


def printer(font=None):
    return Printer(PaperFiles(font), CentreTable(NANTONG))


def squeezed(text):
    return "".join(text.split())


@pytest.mark.external
async def test_the_pdf_reads_back_as_what_is_stored():
    content, _ = await printer().printed(REPORT, 2, "pdf")
    program = shutil.which("pdftotext")
    assert program, "tests/support/system.sh installs poppler-utils"
    read = subprocess.run([program, "-raw", "-", "-"], input=content, capture_output=True, check=True).stdout.decode()
    missing = [text for text in said(printer().document(REPORT, 2)) if squeezed(text) not in squeezed(read)]
    assert not missing, (missing, read)


async def test_the_word_file_reads_back_as_what_is_stored():
    from docx import Document

    content, _ = await printer().printed(REPORT, 2, "docx")
    document = Document(io.BytesIO(content))
    read = [paragraph.text for paragraph in document.paragraphs]
    read += [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    assert set(said(printer().document(REPORT, 2))) <= set(read)


def test_the_document_shows_both_grades_the_drill_and_why_a_number_fell():
    made = printer().document(REPORT, 2)
    head, changed, body = (part.lines for part in made.parts)
    assert made.notes == ("【演练】",)
    assert ("核定等级", "一般") in head
    assert ("初判（可能）等级", "较大") in head
    assert ("报送对象", "南通市 320600") in head
    assert changed == (("死亡（人）", "2（已核实，县医院）；变动原因：一人重复统计"),)
    assert ("事发时间", "2026-03-01 09:10:00") in body


async def test_without_a_font_the_error_says_what_to_install(tmp_path):
    with pytest.raises(NeedsError, match="fonts-noto-cjk"):
        await printer(tmp_path / "none.otf").printed(REPORT, 2, "pdf")
    (tmp_path / "bad.otf").write_bytes(b"no font")
    with pytest.raises(NeedsError, match="fonts-noto-cjk"):
        await printer(tmp_path / "bad.otf").printed(REPORT, 2, "pdf")


def test_an_unknown_version_is_named():
    with pytest.raises(NotFoundError, match="version 9"):
        printer().document(REPORT, 9)
