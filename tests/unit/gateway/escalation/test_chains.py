"""Chains are data: what is shipped fits the domain rules, what cannot work is refused by name."""

import pytest
from pydantic import ValidationError

from gateway.escalation.chains import Chain, Contact, Ladder, Step, Target, default_chain
from gateway.ports.notify import Channel
from protocols.tiers import ORDER, Tier


@pytest.mark.parametrize("tier", ORDER)
def test_the_shipped_chain_reads_back_and_tells_somebody_of_every_grave_alarm(tier: Tier) -> None:
    chain = default_chain(tier)
    assert Chain.model_validate_json(chain.model_dump_json()) == chain
    for handed in (False, True):
        for severity in (1, 2):
            steps = chain.ladder(severity, handed=handed).steps
            assert steps
            assert steps[0].after_s == 0


def test_a_red_alarm_of_a_county_follows_the_domain_rules() -> None:
    steps = default_chain(Tier.COUNTY).ladder(1, handed=False).steps
    assert [(step.after_s, step.upward) for step in steps] == [(0, False), (60, False), (180, False), (300, True)]
    assert default_chain(Tier.COUNTY).ladder(4, handed=False).steps == ()
    assert not any(step.upward for step in default_chain(Tier.NATIONAL).ladder(1, handed=True).steps)


def test_targets_mean_people_and_a_role_without_a_person_still_sounds() -> None:
    zhang = Contact(name="张三", role="leader", phone="13800000000")
    chain = Chain(contacts=(zhang,))
    assert chain.people(Target(role="leader", channels=(Channel.SMS,))) == (zhang,)
    assert chain.people(Target(name="张三", channels=(Channel.SMS,))) == (zhang,)
    (nobody,) = chain.people(Target(role="duty_officer", channels=(Channel.SOUND,)))
    assert (nobody.address(Channel.SOUND), nobody.address(Channel.SMS)) == ("duty_officer", None)
    assert zhang.address(Channel.SMS) == "13800000000"


@pytest.mark.parametrize(
    "wrong",
    [
        {"own": {"1": {"steps": [{"after_s": 60, "upward": True}, {"after_s": 0, "upward": True}]}}},
        {"own": {"1": {"steps": [{"after_s": 0}]}}},
        {"own": {"5": {}}},
        {"own": {"1": {"steps": [{"after_s": 0, "targets": [{"name": "谁", "channels": ["sms"]}]}]}}},
        {"contacts": [{"name": "a", "role": "leader"}, {"name": "a", "role": "leader"}]},
        {"contacts": [{"name": "a", "role": "leader", "email": "a@b\nBcc: c@d"}]},
        {"own": {"1": {"steps": [{"after_s": 0, "targets": [{"channels": ["sms"]}]}]}}},
        {"unknown": 1},
    ],
)
def test_a_chain_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Chain.model_validate(wrong)


def test_an_empty_ladder_stands_for_nothing() -> None:
    assert Chain().ladder(1, handed=False) == Ladder()
    assert Step(after_s=0, upward=True).targets == ()
