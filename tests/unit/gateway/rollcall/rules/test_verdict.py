"""A check can take *present* away and never give it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rollcall.rules.verdict import at_the_end, unproven, weigh
from protocols.rollcall import (
    FINAL,
    PRESENT,
    AbsenceReason,
    Cause,
    Check,
    CheckName,
    CheckResult,
    Defect,
    PointState,
)

AT = "2026-05-01T08:30:00+08:00"


def check(name, result, defect=None) -> Check:
    return Check(name=name, result=result, defect=defect, at=AT)


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        (Defect.LOST, AbsenceReason.NO_PICTURE),
        (Defect.FROZEN, AbsenceReason.FROZEN),
        (Defect.BLACK, AbsenceReason.BLACK),
        (Defect.COVERED, AbsenceReason.COVERED),
        (Defect.REPLAY, AbsenceReason.REPLAY),
        (Defect.STRIPES, AbsenceReason.BAD_PICTURE),
        (None, AbsenceReason.BAD_PICTURE),
    ],
)
def test_a_bad_picture_fails(defect, reason):
    bad = [check(CheckName.PICTURE, CheckResult.BAD, defect)]
    assert weigh(bad, late=False, proven=True) == (PointState.FAILED, reason)


def test_an_unproven_picture_passes_only_with_the_number():
    doubt = [check(CheckName.SCENE, CheckResult.UNPROVEN)]
    assert unproven(doubt)
    assert weigh(doubt, late=False) == (PointState.FAILED, AbsenceReason.UNPROVEN)
    assert weigh(doubt, late=False, proven=True) == (PointState.PASSED, None)
    assert not unproven([check(CheckName.SOUND, CheckResult.UNPROVEN)])


def test_other_faults_are_issues():
    silent = [check(CheckName.SOUND, CheckResult.BAD, Defect.SILENT)]
    assert weigh(silent, late=False) == (PointState.PASSED_WITH_ISSUES, None)
    assert weigh(silent, late=True) == (PointState.PASSED_LATE, None)
    assert weigh([check(CheckName.POWER, CheckResult.UNKNOWN)], late=False) == (PointState.PASSED, None)


_CHECKS = st.lists(
    st.builds(
        check, st.sampled_from(CheckName), st.sampled_from(CheckResult), st.one_of(st.none(), st.sampled_from(Defect))
    ),
    max_size=8,
)


@given(_CHECKS, st.booleans(), st.booleans(), _CHECKS)
def test_more_checks_never_make_a_verdict_better(checks, late, proven, more):
    before, _ = weigh(checks, late=late, proven=proven)
    after, reason = weigh([*checks, *more], late=late, proven=proven)
    if before not in PRESENT:
        assert after not in PRESENT
    assert (reason is None) == (after in PRESENT)


def test_what_is_left_at_the_end():
    assert at_the_end(PointState.NO_ANSWER, None) is PointState.ABSENT
    assert at_the_end(PointState.LINK_LOST, None) is PointState.UNREACHABLE
    assert at_the_end(PointState.LINK_LOST, Cause.LINE) is PointState.UNREACHABLE
    assert at_the_end(PointState.LINK_LOST, Cause.COUNTY_POWER) is PointState.ABSENT
    assert at_the_end(PointState.FAILED, None) is PointState.FAILED
    for state in PointState:
        assert at_the_end(state, None) in FINAL
