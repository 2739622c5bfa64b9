"""Sensors: where alarms come from."""
