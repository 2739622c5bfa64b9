"""Whatever stands in a document reads back from each of its files."""

import io
import shutil
import subprocess
import zipfile

import pytest
from python_calamine import CalamineWorkbook

from gateway.adapters.paper_files import PaperFiles
from gateway.ports.paper import Document, Facts, Grid, Words, said

ROWS = tuple((str(n), f"第{n}县", "=1+1 #x *y* $z$ [a]") for n in range(1, 80))
DOCUMENT = Document(
    "南通市视频点名结果表",
    (
        Words(("今日点名七县，全部到岗。", "特此通报。"), "情况"),
        Facts((("点名员", "张三"), ("时间", "2026-03-01 09:10:00"))),
        Grid(("序号", "单位", "备注"), ROWS, "明细"),
    ),
    notes=("【演练】",),
    wide=True,
    closing=("南通市应急指挥中心",),
)


def squeezed(text):
    return "".join(text.split())


@pytest.mark.external
async def test_the_pdf_says_all_of_it():
    made = await PaperFiles().printed(DOCUMENT, "pdf")
    program = shutil.which("pdftotext")
    assert program, "tests/support/system.sh installs poppler-utils"
    read = subprocess.run([program, "-raw", "-", "-"], input=made, capture_output=True, check=True).stdout.decode()
    assert not [text for text in said(DOCUMENT) if squeezed(text) not in squeezed(read)]


async def test_the_word_file_says_all_of_it():
    from docx import Document as read_document

    made = await PaperFiles().printed(DOCUMENT, "docx")
    found = read_document(io.BytesIO(made))
    read = {paragraph.text for paragraph in found.paragraphs}
    read |= {cell.text for table in found.tables for row in table.rows for cell in row.cells}
    assert set(said(DOCUMENT)) <= read


async def test_the_workbook_says_all_of_it_and_runs_no_formula():
    made = await PaperFiles().printed(DOCUMENT, "xlsx")
    book = CalamineWorkbook.from_filelike(io.BytesIO(made))
    read = {
        str(cell)
        for name in book.sheet_names
        for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        for cell in row
    }
    assert {text for text in said(DOCUMENT) if text not in {"明细"}} <= read
    assert "明细" in book.sheet_names
    with zipfile.ZipFile(io.BytesIO(made)) as inside:
        assert not any(b"<f>" in inside.read(name) for name in inside.namelist() if "worksheets" in name)


async def test_two_tables_of_one_name_get_sheets_of_their_own():
    twice = Grid(("甲",), (("乙",),), "同名[表]")
    made = await PaperFiles().printed(Document("头", (twice, twice)), "xlsx")
    assert len(CalamineWorkbook.from_filelike(io.BytesIO(made)).sheet_names) == 3
