"""The long form of the search for a history of one link that loses or doubles a record."""

import pytest
from hypothesis import settings

from tests.support.link_machine import LinkMachine

pytestmark = pytest.mark.slow
TestLinkMachineLong = LinkMachine.TestCase
TestLinkMachineLong.settings = settings(max_examples=400, stateful_step_count=80, deadline=None)
