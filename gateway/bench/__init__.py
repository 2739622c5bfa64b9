"""Benchmarks and what they need: bad lines made on purpose. Benchmarks start other programs and measure from outside.

They import only protocols and settings. Nothing here runs in production, and no room knows of it.
"""
