"""Implementations of the ports. Only `gateway.app` chooses among them."""
