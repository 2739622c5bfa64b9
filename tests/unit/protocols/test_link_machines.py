"""Sender and receiver over a bad wire, with crashes anywhere; see tests/support/link_machine.py."""

from hypothesis import settings

from tests.support.link_machine import LinkMachine

TestLinkMachine = LinkMachine.TestCase
TestLinkMachine.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
