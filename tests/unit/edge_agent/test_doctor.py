import edge_agent.doctor
from edge_agent.doctor import answer_page, clock, lines, owner, prompt, state, webhook
from edge_agent.settings import parse
from tests.support.distributions import install


def settings(tmp_path, **more):
    return parse(
        {
            "node": {"id": "320623-box"},
            "gateway": {"url": "http://127.0.0.1:9"},
            "state": {"dir": tmp_path / "s"},
            **more,
        }
    )


def test_a_stranger_that_owns_the_package_is_named_with_the_remedy(tmp_path, monkeypatch):
    assert owner().good
    install(tmp_path, "edge-agent", "edge_agent/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    found = owner()
    assert not found.good
    assert "pip uninstall edge-agent" in found.advice


def test_room_on_the_disk_is_compared_with_the_quota(tmp_path):
    assert state(settings(tmp_path)).good
    huge = settings(tmp_path, state={"dir": tmp_path / "s", "quota_mb": 10**9})
    assert "lower state.quota_mb" in state(huge).advice


def test_a_missing_secret_says_how_to_make_one(tmp_path):
    found = webhook(settings(tmp_path, webhook={"enabled": True, "secret_file": tmp_path / "none"}))
    assert not found.good
    assert "/dev/urandom" in found.advice
    assert webhook(settings(tmp_path)).good


def test_the_clock_is_compared():
    assert clock(2.0).good
    assert not clock(-86_400.0).good
    assert list(lines([clock(-86_400.0)])) == ["✗ clock: -86400 s against the gateway", "    timedatectl set-ntp true"]


def test_a_page_that_the_network_can_reach_is_named(tmp_path):
    assert answer_page(settings(tmp_path)).good
    assert answer_page(settings(tmp_path, answer_page={"enabled": True})).good
    found = answer_page(settings(tmp_path, answer_page={"enabled": True, "host": "0.0.0.0"}))
    assert not found.good
    assert "127.0.0.1" in found.advice
    assert not answer_page(settings(tmp_path, answer_page={"enabled": True, "pin_file": tmp_path / "no"})).good


def test_a_box_that_shall_speak_and_cannot_says_what_to_install(tmp_path, monkeypatch):
    loud = settings(tmp_path, audio={"output": "alsa:default"})
    monkeypatch.setattr(edge_agent.doctor, "find_speaker", lambda: None)
    assert "apt install espeak-ng" in prompt(loud).advice
    assert prompt(settings(tmp_path)).good
    monkeypatch.setattr(edge_agent.doctor, "find_speaker", lambda: "/usr/bin/espeak-ng")
    assert prompt(loud).good
