import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadIdentityError
from protocols.ids import centre_of, is_gateway, split_stream, stream_of, ulid, ulid_ms


def test_an_agent_belongs_to_the_centre_in_its_name():
    assert centre_of("320623-box") == "320623"
    assert centre_of("320623") == "320623"
    assert is_gateway("320623")
    assert not is_gateway("320623-box")


@pytest.mark.parametrize("bad", ["", "32062", "320623-", "320623_box", "320623-BOX", "320623/room", "320623-box\n"])
def test_other_names_are_refused(bad):
    with pytest.raises(BadIdentityError):
        centre_of(bad)


def test_streams_join_and_split():
    assert stream_of("320623", "room") == "320623/room"
    assert split_stream("320623/call-01j9") == ("320623", "call-01j9")
    for bad in ("320623", "320623/", "320623/../x", "x/room"):
        with pytest.raises(BadIdentityError):
            split_stream(bad)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_ulid_carries_its_time(ms, noise):
    text = ulid(ms, noise)
    assert len(text) == 26
    assert ulid_ms(text) == ms


@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ulids_sort_by_time(ms, one, other):
    assert ulid(ms, one) < ulid(ms + 1, other)
