from dataclasses import replace

import pytest

from gateway.rollcall.rules.chain import GENESIS, EvidenceKind, Link, digest, verify


def chain(*changes):
    """A chain of four links: three files and the deletion of the first one."""
    found, head = [], GENESIS
    for seq, (kind, name) in enumerate(
        [(EvidenceKind.STILL, "a"), (EvidenceKind.CLIP, "b"), (EvidenceKind.SOUND, "c"), (EvidenceKind.DELETION, "a")],
        1,
    ):
        link = Link(seq, "0" * 26, "320623", kind, 1, name * 64, 9, "image/jpeg", 5, 6, "", head)
        found.append(replace(link, hash=digest(link)))
        head = found[-1].hash
    return found


def test_a_whole_chain_names_the_files_that_must_be_there():
    found = verify(chain())
    assert (found.links, found.fault) == (4, None)
    assert found.files == {"b" * 64, "c" * 64}
    assert verify([]).fault is None


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "d" * 64}, {"octets": 10}, {"centre": "320681"}, {"note": "x"}, {"taken_us": 4}, {"at_us": 4},
        {"media_type": "video/mp4"}, {"number": 2}, {"kind": EvidenceKind.STILL}, {"roll_call_id": "1" * 26},
    ],
)  # fmt: skip
def test_any_change_of_a_link_is_found(change):
    links = chain()
    links[1] = replace(links[1], **change)
    assert verify(links).fault == "evidence 2 was changed after it was written"


def test_a_link_that_was_changed_and_hashed_anew_does_not_fit_its_successor():
    links = chain()
    forged = replace(links[1], octets=10)
    links[1] = replace(forged, hash=digest(forged))
    assert verify(links).fault == "evidence 3 does not follow the one before it"


def test_a_missing_and_an_exchanged_link_are_found():
    links = chain()
    assert verify([links[0], links[2], links[3]]).fault == "evidence 2 is missing: the next one found is 3"
    assert verify([links[0], links[2], links[1]]).fault is not None


def test_what_was_never_there_cannot_be_deleted():
    links = chain()
    forged = replace(links[3], sha256="e" * 64)
    links[3] = replace(forged, hash=digest(forged))
    assert verify(links).fault == "evidence 4 deletes a file that was not there"
