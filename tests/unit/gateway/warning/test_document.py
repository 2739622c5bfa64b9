"""CAP documents of our own: the Chinese profile, the standard's structure, what others wrote, fuzzed words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms.cap import parse
from gateway.warning.document import Message, check, identifier_of, write
from protocols.alarm import Severity
from protocols.cap import CapStatus, CapType, division_codes, severity_of
from protocols.errors import BadSchemaError
from protocols.warning import WarningContent
from tests.support.cap import alert
from tests.support.shared import shared
from tests.unit.protocols.test_warning import WHOLE

SENT = datetime(2026, 1, 1, 16, 30, 5, tzinfo=UTC)
SENDER = "32062341800000"


def message(*, drill=False, type_=CapType.ALERT, references=(), **more):
    content = WarningContent.model_validate(WHOLE | more)
    return Message(identifier_of(SENDER, SENT, 0), SENDER, "如东县应急管理局", SENT, type_, drill, content, references)


def test_the_identifier_names_sender_and_beijing_time():
    assert identifier_of(SENDER, SENT, 12) == "32062341800000_20260102003005_2"
    assert len(identifier_of(SENDER, SENT, 0)) == 31


@pytest.mark.parametrize("colour", list(Severity))
def test_a_document_reads_back_as_it_was_meant(colour):
    read = parse(write(message(colour=colour, expires="2026-01-02T00:00:00Z")))
    info = read.info
    assert info is not None
    assert (read.status, read.type, read.scope, read.sent) == (CapStatus.ACTUAL, CapType.ALERT, "Public", SENT)
    assert severity_of(info.model_copy(update={"headline": "", "parameters": {}})) is colour
    assert severity_of(info.model_copy(update={"headline": ""})) is colour
    assert (info.event, info.event_code, info.sender_name) == ("危险化学品泄漏", "12A01", "如东县应急管理局")
    assert division_codes(info) == ("320623",)
    assert b"<sent>2026-01-02T00:30:05+08:00</sent>" in write(message(colour=colour))


def test_a_drill_says_so_in_every_place_a_reader_looks():
    read = parse(write(message(drill=True)))
    assert (read.status, read.scope, read.drill) == (CapStatus.EXERCISE, "Restricted", True)
    assert read.info is not None
    for text in (read.info.headline, read.info.description, read.info.instruction, read.note):
        assert text.startswith("【演练】")


def test_an_update_names_what_it_replaces():
    references = ((SENDER, "first", SENT),)
    (reference,) = parse(write(message(type_=CapType.UPDATE, references=references))).references
    assert (reference.sender, reference.identifier) == (SENDER, "first")


@pytest.mark.parametrize(
    "change",
    [
        (b"<scope>Public</scope>", b""),
        (b"+08:00</sent>", b"Z</sent>"),
        (b"<certainty>Likely</certainty>", b""),
        (b"<msgType>Alert</msgType>", b"<msgType>Warn</msgType>"),
        (b"<event>", b"<x/><event>"),
        (b"</alert>", b""),
    ],
)
def test_what_is_not_cap_by_structure_is_refused(change):
    with pytest.raises(BadSchemaError):
        check(write(message()).replace(*change))


def test_control_characters_are_refused():
    with pytest.raises(BadSchemaError, match="control"):
        write(message(description="a\x00b"))


def test_the_structure_fits_messages_of_a_station():
    check(alert(references="a,b,2026-01-01T08:00:00+08:00"))


@pytest.mark.skipif(not shared("cap").is_dir(), reason="the shared messages of others are not beside the checkout")
@pytest.mark.parametrize("name", ["australia.cap", "canada.cap", "earthquake.cap"])
def test_the_structure_fits_messages_that_others_wrote(name):
    body = shared(f"cap/{name}").read_bytes()
    if b"cap:1.2" not in body:
        body = body.replace(b"cap:1.1", b"cap:1.2")
    check(body)


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=60)


@settings(max_examples=100, deadline=None)
@given(WORDS, WORDS, WORDS.filter(bool), st.sampled_from(list(Severity)), st.booleans())
def test_any_words_survive_the_way_through_a_document(headline, description, area, colour, drill):
    areas = [{"name": area, "codes": ["320623"]}]
    written = write(message(headline=headline, description=description, areas=areas, colour=colour, drill=drill))
    info = parse(written).info
    assert info is not None
    mark = "【演练】" if drill else ""
    assert info.headline == f"{mark}{headline}".strip()
    assert info.description == f"{mark}{description}".strip()
