"""Contracts in prose for everything that can be replaced: store, media, blob, broker.

An adapter that lacks a capability says so at start-up or by NeedsError ("needs X"); nothing is silently None.
"""
