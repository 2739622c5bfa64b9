"""`silian doctor` on a state that is good, and on one with every fault that it names."""

import shutil
import socket
import sqlite3
from contextlib import closing

import pytest

from gateway import doctor
from gateway.adapters.media_embedded.compiled import build
from gateway.provision import Wish, provision
from gateway.settings import Settings
from gateway.strangers import refuse_strangers
from protocols.errors import ConfigError
from tests.support.distributions import install


def settings(folder, **more):
    return Settings.model_validate(
        {
            "centre": {"code": "320600"},
            "state": {"dir": folder},
            "http": {"port": 0},
            "management": {"port": 0},
            "broker": {"port": 0},
            **more,
        }
    )


async def found(wanted):
    return {finding.name: finding for finding in await doctor.examine(wanted)}


async def test_a_new_installation_is_told_what_comes_at_the_first_start(tmp_path):
    findings = await found(settings(tmp_path / "state"))
    for name in ("package", "libraries", "state", "ports", "media backend", "certificates", "audit"):
        assert findings[name].good, findings[name]
    assert not (tmp_path / "state").exists(), "doctor changes nothing"
    assert all(f.good or f.advice for f in findings.values())


async def test_a_tampered_audit_is_found_in_the_file(tmp_path):
    wanted = settings(tmp_path / "state")
    await provision(wanted, Wish(nodes=("320612-box", "320613-box")))
    assert (await found(wanted))["audit"].detail.startswith("2 records, chain whole")
    with closing(sqlite3.connect(wanted.database)) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET target = '320681-box' WHERE seq = 1")
        database.commit()
    audit = (await found(wanted))["audit"]
    assert not audit.good
    assert "record 1 was changed" in audit.detail
    wanted.database.write_bytes(b"this is no database" * 100)
    assert not (await found(wanted))["audit"].good


async def test_certificates_keys_and_ports_are_looked_at(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wanted = settings(tmp_path / "state", http={"port": port})
        await provision(wanted, Wish())
        (wanted.pki_dir / "ca.key").chmod(0o644)
        (wanted.pki_dir / "broker.crt").write_text("rubbish")
        findings = await found(wanted)
    assert not findings["ports"].good
    assert str(port) in findings["ports"].detail
    assert findings["ca.crt"].advice == f"chmod 600 {wanted.pki_dir / 'ca.key'}"
    assert not findings["broker.crt"].good


async def test_a_missing_broker_and_an_unreachable_upper_tier_have_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "find_mosquitto", lambda: None)
    wanted = settings(tmp_path / "state", upstream={"url": "http://127.0.0.1:9"})
    findings = await found(wanted)
    assert findings["broker"].advice == "sudo apt-get install mosquitto"
    assert "enrol-token 320600" in findings["identity"].advice
    assert not findings["upstream"].good
    wanted = settings(tmp_path / "state", upstream={"url": "http://127.0.0.1:9", "token": "x"})
    assert (await found(wanted))["identity"].good


def test_a_package_of_somebody_else_is_refused(tmp_path, monkeypatch):
    refuse_strangers()
    install(tmp_path, "edge-agent", "edge_agent/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="pip uninstall edge-agent"):
        refuse_strangers()
    finding = doctor.owner()
    assert not finding.good
    assert "pip uninstall edge-agent" in finding.advice


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    finding = doctor.state(settings(tmp_path))
    assert not finding.good
    assert "free disk space" in finding.advice


async def test_janus_is_looked_for_where_it_is_wanted(tmp_path):
    assert "janus" not in await found(settings(tmp_path / "state"))
    away = {"engine": "janus", "janus_url": "http://127.0.0.1:9/janus"}
    finding = (await found(settings(tmp_path / "state", media=away)))["janus"]
    assert not finding.good
    assert "does not answer" in finding.detail
    assert "media.janus_url" in finding.advice
    unreadable = away | {"janus_secret_file": tmp_path / "none"}
    assert "janus_secret_file" in (await found(settings(tmp_path / "state", media=unreadable)))["janus"].detail


@pytest.mark.parametrize(("version", "good"), [("1.1.2", False), ("1.4.1", True)])
async def test_an_old_janus_is_named(tmp_path, monkeypatch, version, good):
    program = tmp_path / "bin" / "janus"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'Janus version: 1 ({version})'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    finding = (await found(settings(tmp_path / "state", media={"engine": "janus"})))["janus"]
    assert finding.good is good
    assert version in finding.detail
    assert ("SRTP" in finding.detail) is not good


async def test_the_backend_that_forwards_is_named_and_what_is_missing_for_the_best(tmp_path, monkeypatch):
    assert (await found(settings(tmp_path / "state")))["media backend"].detail == "compiled"
    monkeypatch.setattr(build, "HERE", tmp_path / "package")
    monkeypatch.setattr(build, "compiler", lambda: None)
    finding = (await found(settings(tmp_path / "state")))["media backend"]
    assert finding.good
    assert finding.detail.startswith("batched; compiled cannot be used: there is no C compiler")
    wished = (await found(settings(tmp_path / "state", media={"backend": "compiled"})))["media backend"]
    assert not wished.good
    assert "gcc" in wished.advice
