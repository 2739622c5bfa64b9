"""Which bus the settings ask for, and the sentences for what cannot work."""

import pytest

from gateway.adapters.bus_choice import choose_bus
from gateway.adapters.bus_memory import MemoryBus
from gateway.adapters.bus_nats import NatsBus
from gateway.settings import Settings
from protocols.aio.clock import SystemClock
from protocols.aio.mqtt import TlsFiles
from protocols.errors import ConfigError


def settings(tmp_path, **bus):
    replica = {"name": "a", "url": "http://127.0.0.1:8080", "shared_dir": str(tmp_path / "shared")} if bus else {}
    return Settings.model_validate(
        {
            "centre": {"code": "320600"},
            "state": {"dir": str(tmp_path)},
            "store": {"url": "postgresql://db/silian"} if bus else {},
            "broker": {"url": "mqtt://127.0.0.1:1883"} if bus else {},
            "replica": replica,
            "bus": bus,
        }
    )


def choose(tmp_path, **bus):
    return choose_bus(settings(tmp_path, **bus), TlsFiles(tmp_path / "ca.pem"), SystemClock())


def test_one_process_alone_needs_no_bus(tmp_path):
    assert isinstance(choose(tmp_path), MemoryBus)


def test_replicas_meet_at_the_servers_with_the_password_of_the_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("silian:rudong:1\n")
    url = "nats://127.0.0.1:4222, nats://127.0.0.1:4223"
    bus = choose(tmp_path, url=url, credentials_file=str(secret), copies=1)
    assert isinstance(bus, NatsBus)
    assert bus._place.urls == ("nats://127.0.0.1:4222", "nats://127.0.0.1:4223")
    assert bus._place.login == ("silian", "rudong:1")
    assert bus._place.copies == 1
    secret.write_text("s3cret-token")
    assert choose(tmp_path, url=url, credentials_file=str(secret))._place.login == ("s3cret-token",)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nats://bus.example:4222", "use tls://"),
        ("http://127.0.0.1:1", "is not tls://"),
        ("nats://a:b@127.0.0.1:1", "credentials_file"),
        ("nats://127.0.0.1:1,", "is not tls://"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(tmp_path, url, word):
    with pytest.raises(ConfigError, match=word):
        choose(tmp_path, url=url)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="credentials_file"):
        choose(tmp_path, url="nats://127.0.0.1:1", credentials_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        choose(tmp_path, url="tls://bus.example:4222")
