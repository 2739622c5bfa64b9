"""Whom a warning concerns: polygon, division codes, outlets and drills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.warning.rules.targets import (
    CallList,
    Outlet,
    OutletKind,
    Target,
    check_polygon,
    covers,
    outlets_of,
    targets_of,
)
from protocols.errors import BadSchemaError

POLYGON = "32.0,120.0 32.0,121.0 33.0,121.0 33.0,120.0 32.0,120.0"
SOMEBODY = [{"chain": [{"name": "张三", "phone": "13800000000"}]}]


def target(name, code, place=None):
    return Target.model_validate({"name": name, "code": code, "place": place, "responsible": SOMEBODY})


TOWN = target("洋口镇", "320623104", (32.5, 120.5))
VILLAGE = target("洋口村", "320623104201")
FAR = target("长沙镇", "320623108", (31.0, 120.5))


def names(*found):
    return [one.name for one in found]


@pytest.mark.parametrize(
    ("codes", "polygons", "expected"),
    [
        (["320623000000"], [], ["洋口镇", "洋口村", "长沙镇"]),
        (["320623"], [], ["洋口镇", "洋口村", "长沙镇"]),
        (["320600"], [], ["洋口镇", "洋口村", "长沙镇"]),
        (["320623104"], [], ["洋口镇", "洋口村"]),
        (["320623104000"], [], ["洋口镇", "洋口村"]),
        (["320623104201"], [], ["洋口村"]),
        (["320681"], [], []),
        (["320623"], [POLYGON], ["洋口镇", "洋口村"]),
        ([], [POLYGON], ["洋口镇"]),
        ([], ["no polygon"], ["洋口镇", "洋口村", "长沙镇"]),
        (["FIPS6"], [], ["洋口镇", "洋口村", "长沙镇"]),
    ],
)
def test_the_polygon_decides_where_a_place_is_known_else_the_code(codes, polygons, expected):
    assert names(*targets_of([TOWN, VILLAGE, FAR], codes, polygons)) == expected


@given(st.from_regex(r"[0-9]{6}([0-9]{3}([0-9]{3})?)?", fullmatch=True))
def test_every_code_covers_itself(code):
    assert covers(code, code)


def test_a_drill_never_reaches_what_speaks_to_the_public():
    every = [Outlet(name=kind.value, kind=kind, phone="110") for kind in OutletKind]
    assert len(outlets_of(every, drill=False)) == 6
    assert {one.kind for one in outlets_of(every, drill=True)} == {
        OutletKind.NEIGHBOUR,
        OutletKind.GARRISON,
        OutletKind.DEPARTMENT,
    }


def test_a_list_with_the_same_name_twice_or_an_outlet_without_a_way_is_refused():
    with pytest.raises(ValidationError, match="once on the list"):
        CallList(targets=(TOWN, TOWN))
    with pytest.raises(ValidationError, match="needs a phone"):
        Outlet(name="电视台", kind=OutletKind.BROADCASTER)


def test_a_polygon_that_is_none_is_refused():
    check_polygon("")
    check_polygon(POLYGON)
    with pytest.raises(BadSchemaError):
        check_polygon("32,120 33,121")
