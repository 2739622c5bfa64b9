"""Which database is chosen, and that its secret is told to nobody."""

import logging
from pathlib import Path

import pytest

from gateway.adapters.store_choice import choose_store, database_url, trust
from gateway.adapters.store_postgres import PostgresStore
from gateway.adapters.store_sqlite import SqliteStore
from gateway.settings import Settings, load_settings
from protocols.aio.clock import ManualClock
from protocols.errors import ConfigError


def wanted(tmp_path: Path, **store: object) -> Settings:
    plain = {"centre": {"code": "320600"}, "state": {"dir": str(tmp_path)}, "store": store}
    return Settings.model_validate(plain)


def test_without_a_url_it_is_a_file_in_the_state_directory(tmp_path: Path) -> None:
    store = choose_store(wanted(tmp_path), ManualClock(), lambda _: None)
    assert isinstance(store, SqliteStore)
    assert store.place == str(tmp_path / "gateway.db")


def test_the_password_comes_from_a_file_and_is_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "password").write_text("geheim\n")
    settings = wanted(tmp_path, url="postgresql://silian@127.0.0.1/city", password_file=tmp_path / "password")
    store = choose_store(settings, ManualClock(), lambda _: None)
    assert isinstance(store, PostgresStore)
    assert database_url(settings).password == "geheim"
    assert store.place == "postgresql://127.0.0.1/city"
    assert "geheim" not in repr(settings) + repr(database_url(settings)) + store.place + caplog.text


def test_a_password_in_the_url_is_not_repeated_by_an_error(tmp_path: Path) -> None:
    environment = {"SILIAN_CENTRE__CODE": "320600", "SILIAN_STORE__URL": "mysql://silian:geheim@db/city"}
    with pytest.raises(ConfigError, match=r"store\.url") as told:
        load_settings(environment=environment)
    assert "geheim" not in str(told.value)
    fine = load_settings(environment=environment | {"SILIAN_STORE__URL": "postgresql://silian:geheim@db/city"})
    assert "geheim" not in repr(fine)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ({"url": "postgresql://silian@127.0.0.1"}, "names no database"),
        ({"url": "postgresql://silian@127.0.0.1/x?sslmode=disable"}, "sslmode"),
        ({"url": "postgresql://silian@127.0.0.1:x/city"}, "no address"),
        ({"url": "postgresql://silian@127.0.0.1/x", "password_file": "/nowhere/password"}, "/nowhere/password"),
        ({"url": "postgresql://silian@db.example/x", "authority": "/nowhere/ca.crt"}, "/nowhere/ca.crt"),
    ],
)
def test_what_cannot_work_is_said(store: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        choose_store(wanted(tmp_path, **store), ManualClock(), lambda _: None)


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("postgresql:///city?host=/run/postgresql", False),
        ("postgresql://127.0.0.1/city", False),
        ("postgresql://db.example/city", True),
    ],
)
def test_beyond_this_machine_the_server_proves_itself(url: str, encrypted: bool, tmp_path: Path) -> None:
    settings = wanted(tmp_path, url=url)
    context = trust(settings, database_url(settings))
    assert (context is not None and context.check_hostname) == encrypted
