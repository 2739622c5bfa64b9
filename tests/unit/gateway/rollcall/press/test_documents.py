"""The sheet and the bulletin on paper: what is printed reads back as what is stored."""

import csv
import io
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from gateway.adapters.paper_files import PaperFiles
from gateway.ports.paper import Grid, said
from gateway.rollcall import phrases
from gateway.rollcall.press.documents import bulletin_document, sheet_csv, sheet_document
from gateway.rollcall.rules.bulletin import Bulletin, line_hash, plain, praise, problems, seal, tally
from gateway.rollcall.rules.sheet import Line, Sheet, cells
from protocols.rollcall import AbsenceReason, Cause, PointState

AT = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)
LINES = (
    Line(
        number=1, centre="320623", name="如东县", state=PointState.PASSED, answered_by="=cmd|calc", rung_at=AT, score=98
    ),
    Line(
        number=2,
        centre="320612",
        name="通州区",
        state=PointState.ABSENT,
        reason=AbsenceReason.NO_LINK,
        cause=Cause.LINE,
        note="#1 线路 *中断* $x$",
    ),
)
SHEET = Sheet("南通市视频点名结果表", LINES, drill=True)
CONTENT = plain(
    Bulletin(
        number="通应急点〔2026〕1号",
        issue=1,
        version=1,
        centre="320600",
        roll_call_id="01JB0000000000000000000000",
        kind="daily",
        called_at=AT,
        caller="张三",
        reviewer="李四",
        published_at=AT,
        publisher="李四",
        drill=True,
        tally=tally(LINES),
        problems=problems(LINES),
        praise=praise(LINES),
        demands="逐一检查备用线路。",
        remedy_by=AT,
        attachments=("南通市视频点名结果表",),
        lines={line.centre: line_hash(line) for line in LINES},
    )
)
OWN = {line.centre: list(cells(line)) for line in LINES}


def made(**how):
    return bulletin_document(CONTENT, OWN, "南通市应急指挥中心", seal=seal(CONTENT), **how)


def squeezed(text):
    return "".join(text.split())


@pytest.mark.external
@pytest.mark.parametrize("document", [sheet_document(SHEET), made(), made(audience="leaders"), made(own="320623")])
async def test_the_pdf_reads_back_as_what_is_stored(document):
    content = await PaperFiles().printed(document, "pdf")
    program = shutil.which("pdftotext")
    assert program, "tests/support/system.sh installs poppler-utils"
    read = subprocess.run([program, "-raw", "-", "-"], input=content, capture_output=True, check=True).stdout.decode()
    flat = squeezed(read)
    missing = [text for text in said(document) if squeezed(text) not in flat]
    assert not missing, missing
    assert "演练" in flat


@pytest.mark.external
async def test_the_leaders_version_is_one_page():
    content = await PaperFiles().printed(made(audience="leaders"), "pdf")
    told = subprocess.run(["pdfinfo", "-"], input=content, capture_output=True, check=True).stdout.decode()
    assert re.search(r"^Pages: +1$", told, re.MULTILINE), told


def test_units_see_all_lines_leaders_none_and_a_unit_its_own():
    def lines(document):
        return [part.rows for part in document.parts if isinstance(part, Grid)]

    assert lines(made())[1:] == [tuple(tuple(line) for line in OWN.values())]
    assert lines(made(audience="leaders"))[1:] == []
    assert lines(made(own="320623"))[1:] == []
    assert "如东县" in said(made(own="320623"))


def test_a_draft_says_so_and_bears_no_seal():
    draft = bulletin_document(CONTENT, OWN, "南通市", seal="")
    assert phrases.DRAFT in draft.notes
    assert phrases.BULLETIN["seal"] not in said(draft)


def test_no_cell_of_the_csv_runs_as_a_formula():
    rows = list(csv.DictReader(io.StringIO(sheet_csv(SHEET).decode("utf-8-sig"))))
    assert [row["单位"] for row in rows] == ["如东县", "通州区"]
    assert rows[0]["应答人"] == "'=cmd|calc"
    assert rows[1]["结果"] == "未到（链路故障）"
