"""Confirmation links: whoever changes one letter has none."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.warning.links import DOOR, ConfirmLinks, Link
from protocols.errors import NotFoundError
from protocols.ids import ulid

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LINKS = ConfirmLinks(KEY)
CALL = ulid(1_800_000_000_000, b"0123456789")


@pytest.mark.parametrize("step", [DOOR, 0, 9])
def test_a_link_means_one_call_and_one_person(step):
    token = LINKS.token(CALL, step)
    assert LINKS.read(token) == Link(CALL, step)
    assert len(token) == 43


@given(st.integers(0, 42), st.characters(codec="ascii"))
def test_a_changed_link_is_none(at, letter):
    token = LINKS.token(CALL, 0)
    changed = token[:at] + letter + token[at + 1 :]
    if changed != token:
        with pytest.raises(NotFoundError):
            LINKS.read(changed)


@pytest.mark.parametrize(
    "token", ["", "x" * 43, CALL, ConfirmLinks(Ed25519PrivateKey.from_private_bytes(bytes(32))).token(CALL, 0)]
)
def test_what_is_not_ours_is_none(token):
    with pytest.raises(NotFoundError):
        LINKS.read(token)
