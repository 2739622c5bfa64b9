"""Answers to a roll call."""
