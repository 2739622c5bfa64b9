from datetime import date
from pathlib import Path

import pytest

from protocols.errors import BadSchemaError, NotFoundError
from protocols.tiers import NANTONG, CentreTable, Tier, load_centres

TODAY = date(2026, 11, 23)
TABLE = CentreTable(NANTONG)
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "divisions" / "areas.csv"


def test_nantong_has_seven_counties_since_2020():
    assert [c.code for c in TABLE.children("320600", TODAY)] == [
        "320612",
        "320613",
        "320614",
        "320623",
        "320681",
        "320682",
        "320685",
    ]


def test_before_the_merger_the_old_codes_are_in_force():
    codes = {c.code for c in TABLE.children("320600", date(2019, 4, 1))}
    assert {"320602", "320611", "320684"} <= codes
    assert not {"320613", "320614"} & codes


def test_the_path_leads_from_the_nation_to_the_county():
    assert TABLE.path("320623") == ("000000", "320000", "320600", "320623")
    assert TABLE.next_hop("000000", "320623") == "320000"
    assert TABLE.next_hop("320600", "320623") == "320623"
    assert TABLE.next_hop("320623", "320600") is None
    assert TABLE.covers("320000", "320685")
    assert not TABLE.covers("320623", "320685")


def test_old_codes_stay_readable():
    assert TABLE["320684"].name == "海门市"
    with pytest.raises(NotFoundError):
        TABLE["999999"]


def test_an_operators_table_is_read():
    table = load_centres(
        "code,name,name_en,tier,parent,valid_from\n000000,全国,,national,,\n330000,浙江省,,provincial,000000,1950-01-01\n"
    )
    assert table["330000"].tier is Tier.PROVINCIAL
    assert table["330000"].valid_from == date(1950, 1, 1)


@pytest.mark.parametrize(
    "row",
    [
        "33000,浙江省,,provincial,000000",
        "330000,浙江省,,kingdom,000000",
        "330000,浙江省,,national,000000",
        "330000,浙江省,,provincial,111111",
    ],
)
def test_a_bad_table_names_its_fault(row):
    with pytest.raises(BadSchemaError):
        load_centres(f"code,name,name_en,tier,parent\n000000,全国,,national,\n{row}\n")


def test_the_built_in_counties_stand_in_the_public_list():
    if not SHARED.exists():
        pytest.skip(f"public division list is not here: {SHARED.name}")
    public = {line.split(",")[0] for line in SHARED.read_text(encoding="utf-8").splitlines()}
    assert {c.code for c in TABLE.children("320600", TODAY)} <= public
