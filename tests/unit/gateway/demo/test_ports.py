"""Ports: a taken one is named with its holder."""

import os
import socket

import pytest

from gateway.demo.ports import free_ports, holder, require_free
from protocols.errors import ConfigError


def test_free_ports_are_different_and_free():
    found = free_ports(5)
    assert len(set(found)) == 5
    require_free("127.0.0.1", found, found)


def test_a_taken_tcp_port_names_its_holder():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert holder(port, "tcp").startswith(f"pid {os.getpid()} (")
        with pytest.raises(ConfigError, match=rf"{port}.*pid {os.getpid()}"):
            require_free("127.0.0.1", [port], [])


def test_a_taken_udp_port_names_its_holder():
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"UDP.*{port}.*pid {os.getpid()}"):
            require_free("127.0.0.1", [], [port])


def test_nobody_holds_a_free_port():
    assert holder(free_ports(1)[0], "tcp") is None
