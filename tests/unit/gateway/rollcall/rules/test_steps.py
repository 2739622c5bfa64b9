"""What the rule of a session has its shell do: every kind is named, and none changes once it was said."""

import dataclasses
import inspect
from typing import get_args

import pytest

from gateway.rollcall.rules import steps

KINDS = [one for _, one in inspect.getmembers(steps, inspect.isclass) if one.__module__ == steps.__name__]


def test_the_shell_is_told_of_every_kind():
    assert set(get_args(steps.Effect)) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_step_says_the_same_for_ever(kind):
    step = kind(**{field.name: None for field in dataclasses.fields(kind)})
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        step.centre = "320612"


def test_a_point_is_lent_until_it_is_said_to_be_over():
    assert steps.Lent("320612") != steps.Lent("320612", over=True)
    assert not steps.Lent("320612").over
