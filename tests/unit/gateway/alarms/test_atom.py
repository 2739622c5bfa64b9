"""Atom feeds: entries in the order of their writing, messages held or named, feeds that others wrote."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms.atom import MAX_ENTRIES, read_feed
from gateway.alarms.cap import parse
from protocols.errors import BadInputError, BadSchemaError
from tests.support.cap import FIRST, alert
from tests.support.feed_server import feed, link
from tests.support.shared import shared

URL = "http://feed.example/a/index.atom"


def test_entries_stand_oldest_first_and_links_count_from_the_feed():
    newest_first = feed(
        ("b", "2026-01-01T00:00:02Z", link("b.xml")),
        ("a", "2026-01-01T00:00:01Z", link("/page", "text/html") + link("a.xml")),
        ("c", "2026-01-01T00:00:03Z", link("https://other.example/c")),
    )
    read = read_feed(newest_first, URL)
    assert [(one.id, one.link) for one in read.entries] == [
        ("a", "http://feed.example/a/a.xml"),
        ("b", "http://feed.example/a/b.xml"),
        ("c", "https://other.example/c"),
    ]
    assert read.updated is not None


def test_a_bare_message_is_a_feed_of_one():
    (entry,) = read_feed(alert(), URL).entries
    assert parse(entry.document or b"").identifier == FIRST


def test_a_message_inside_the_entry_is_taken_out_whole():
    inside = alert().decode().partition("?>")[2]
    (entry,) = read_feed(feed(("a", "x", f'<content type="text/xml">{inside}</content>')), URL).entries
    assert parse(entry.document or b"").identifier == FIRST


def test_a_feed_without_end_is_cut_and_says_so():
    many = feed(*((f"e{n}", "2026-01-01T00:00:00Z", link(f"{n}")) for n in range(MAX_ENTRIES + 3)))
    read = read_feed(many, URL)
    assert (len(read.entries), read.cut) == (MAX_ENTRIES, 3)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadInputError),
        (b"<feed/>", BadSchemaError),
        (b"<rss version='2.0'/>", BadSchemaError),
        (b'<!DOCTYPE feed [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feed>&b;</feed>', BadInputError),
    ],
)
def test_what_is_no_feed_is_refused(body, error):
    with pytest.raises(error):
        read_feed(body, URL)


@pytest.mark.skipif(not shared("cap").is_dir(), reason="the shared feeds of others are not beside the checkout")
def test_feeds_that_others_wrote():
    (amber,) = read_feed(shared("cap/amber.atom").read_bytes(), URL).entries
    assert parse(amber.document or b"").sender == "KARO@CLETS.DOJ.DC.GOV"
    index = read_feed(shared("cap/weather_index.atom").read_bytes(), URL)
    assert index.entries
    assert all(one.link and one.link.startswith("http://www.weather.gov/") for one in index.entries)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 300), st.integers(0, 60))
def test_damaged_feeds_are_read_or_refused(noise, at, cut):
    body = feed(("a", "2026-01-01T00:00:00Z", link("x")), ("b", "never", link("http://[", "x")))
    try:
        read_feed(body[:at] + noise + body[at + cut :], URL)
    except BadInputError:
        return
