"""A replica that lacks something is a start-up error that names it."""

import pytest

from gateway.settings import load_settings
from protocols.errors import ConfigError

WHOLE = {
    "centre": {"code": "320600"},
    "store": {"url": "postgresql://127.0.0.1/silian"},
    "broker": {"url": "mqtt://127.0.0.1:1883"},
    "bus": {"url": "nats://127.0.0.1:4222"},
    "replica": {"name": "a", "url": "http://127.0.0.1:8080", "shared_dir": "/srv/silian"},
}


def load(**changes):
    flags = {section: dict(keys) for section, keys in WHOLE.items()}
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if value is None:
            flags[section].pop(key, None)
        else:
            flags.setdefault(section, {})[key] = value
    return load_settings(flags=flags, environment={})


def test_a_whole_replica_is_good_and_keeps_what_is_common_in_one_place():
    settings = load()
    assert str(settings.pki_dir) == "/srv/silian/pki"
    assert str(settings.identity_dir) == "/srv/silian/identity"
    assert str(settings.database) == "/var/lib/silian/gateway.db"


@pytest.mark.parametrize("key", ["store__url", "broker__url", "bus__url", "replica__url", "replica__shared_dir"])
def test_what_a_replica_needs_is_named(key):
    with pytest.raises(ConfigError, match=rf"replica\.name needs {key.replace('__', '.')}"):
        load(**{key: None})


@pytest.mark.parametrize("kind", ["mosquitto", "embedded"])
def test_a_broker_of_its_own_serves_no_replica(kind):
    with pytest.raises(ConfigError, match="broker that all replicas reach"):
        load(broker__kind=kind)


def test_passwords_do_not_pass_between_machines_in_the_clear():
    with pytest.raises(ConfigError, match="https://"):
        load(replica__url="http://gateway-a.example:8080")
    assert load(replica__url="https://gateway-a.example:8080").replica.url == "https://gateway-a.example:8080"


@pytest.mark.parametrize("given", ["bus__url", "replica__url", "replica__shared_dir"])
def test_a_half_replica_is_refused(given):
    section, _, key = given.partition("__")
    flags = {"centre": {"code": "320600"}, section: {key: WHOLE[section][key]}}
    with pytest.raises(ConfigError, match=r"replica\.name is missing"):
        load_settings(flags=flags, environment={})
