"""A profile is data with sane bounds, and its defaults are those of the domain."""

import pytest
from pydantic import ValidationError

from gateway.rollcall.rules.profiles import Profile, Trigger, Weights


def test_the_defaults_are_those_of_the_domain():
    profile = Profile()
    assert (profile.answer_within_s, profile.attempts, profile.picture_within_s) == (30, 2, 15)
    assert (profile.presence_s, profile.precheck_s, profile.precheck_hidden_s) == (600, 900, 120)
    weights = Weights()
    assert sum(getattr(weights, name) for name in Weights.model_fields if name != "late") == 100


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"look_every_s": 9.0, "observe_s": 8.0}, {"parallel": 0}, {"unknown": 1}, {"order": "luck"}],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Profile(**wrong)


def test_a_stored_profile_comes_back_as_it_was():
    profile = Profile(attempts=3, triggers=(Trigger(severity=1, automatic=True),))
    assert Profile.model_validate(profile.model_dump(mode="json")) == profile
